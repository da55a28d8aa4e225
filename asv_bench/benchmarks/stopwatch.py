"""Ratios of two calls timed in turn, so that a drifting machine slows both alike; short calls."""

from statistics import median
from time import perf_counter

SHORTEST = 2e-3  # a loop this long hides the clock


def times_as_fast(ours, theirs, rounds=9):
    """Return the median of theirs / ours over alternating rounds."""
    loops = _loops(ours), _loops(theirs)
    return median(_seconds(theirs, loops[1]) / _seconds(ours, loops[0]) for _ in range(rounds))


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
