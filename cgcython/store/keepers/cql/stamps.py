"""The timestamps of writes, of which no two writers have the same.

The server keeps the cells of the higher timestamp: two writes of the same one would be mixed. So a
stamp is microseconds since 1970 rounded down to a multiple of 256, plus twice the number of the
writer; odd stamps, just above another, remove what that one wrote and nothing later.
"""

import time

from cgcython.locks import ForkSafeLock

STEP = 256
_HOUR_US = 3600 * 10**6


def now_us() -> int:
    """Return microseconds since 1970 by the clock of this machine."""
    return time.time_ns() // 1000


def hour_of(stamp: int) -> int:
    """Return the hour in which a stamp lies, counted since 1970."""
    return stamp // _HOUR_US


def just_above(stamp: int) -> int:
    """Return the stamp that removes what another one wrote, and nothing later."""
    return stamp + 1


class Stamps:
    """Gives the stamps of a writer, each above the one before."""

    def __init__(self, number: int) -> None:
        self._own = number % (STEP // 2) * 2
        self._last, self._lock = 0, ForkSafeLock()

    def next(self, above: int = 0) -> int:
        """Return a stamp above another one, and above all that were given.

        >>> Stamps(3).next(above=10**18)
        1000000000000000006
        """
        with self._lock:
            least = max(now_us(), self._last + 1, above + 1)
            stamp = least // STEP * STEP + self._own
            self._last = stamp if stamp >= least else stamp + STEP
            return self._last

    @property
    def last(self) -> int:
        """The last stamp that was given, 0 for none."""
        return self._last
