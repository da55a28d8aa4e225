"""Locks of objects that a forked child goes on using: there they are free, whoever held them."""

from threading import RLock
from typing import Any, Self
from weakref import WeakSet

from cgcython.system import at_fork


class ForkSafeLock:
    """A lock for `with`; taken again by the thread that has it, and free in a forked child.

    >>> with ForkSafeLock() as lock, lock:
    ...     pass
    """

    def __init__(self) -> None:
        self._lock = RLock()
        _ALL.add(self)

    def renew(self) -> None:
        """Be free: the thread that had the lock is not in this process."""
        self._lock = RLock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), ()


_ALL: WeakSet[ForkSafeLock] = WeakSet()


def _renew_all() -> None:
    for lock in list(_ALL):
        lock.renew()


at_fork(_renew_all)
