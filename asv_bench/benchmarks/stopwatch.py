"""Ratios of two calls timed in turn, so that a drifting machine slows both alike; short calls."""

from statistics import median
from time import perf_counter

SHORTEST = 2e-3  # a loop this long hides the clock


def times_as_fast(ours, theirs, rounds=9):
    """Return the median of theirs / ours over alternating rounds."""
    loops = _loops(ours), _loops(theirs)
    return median(_seconds(theirs, loops[1]) / _seconds(ours, loops[0]) for _ in range(rounds))


def gain_beside(limit, call, rounds=15):
    """Return what two threads gain a call, as a share of what they gain a limit in the same rounds.

    Both are called with a number of threads. How much a second thread is worth is the machine's.
    """
    shares = []
    for _ in range(rounds):
        one, two, limit_one, limit_two = (
            _seconds(work, 1, threads) for work in (call, limit) for threads in (1, 2)
        )
        shares.append(one / two * limit_two / limit_one)
    return median(shares)


def share_of(limit, call, rounds=12):
    """Return how near a call comes to a limit on the same bytes: the shortest times, taken in turn.

    Others share the memory, and a limit is what nothing disturbed.
    """
    times = [(_seconds(limit, 1), _seconds(call, 1)) for _ in range(rounds)]
    return min(first for first, _ in times) / min(second for _, second in times)


def seconds_per_call(call, *arguments, rounds=25):
    """Return the median time of a call too short for asv to time by itself.

    With its arguments given, no lambda is timed beside it.
    """
    loops = _loops(call, *arguments)
    return median(_seconds(call, loops, *arguments) for _ in range(rounds))


def _loops(call, *arguments):
    call(*arguments)
    return max(1, round(SHORTEST / _seconds(call, 1, *arguments)))


def _seconds(call, loops, *arguments):
    start = perf_counter()
    for _ in range(loops):
        call(*arguments)
    return (perf_counter() - start) / loops
