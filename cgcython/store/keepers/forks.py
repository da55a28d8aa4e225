"""Tells in the child of a fork whatever holds something that only the parent may use.

From then on it refuses, and what it held is never freed there: a database's objects would end what
the parent goes on using, or wait for threads that are not in the child. (Checks of the process
number in each call would cost more and do less.)
"""

import ctypes
from abc import ABC, abstractmethod
from weakref import WeakSet

from cgcython.system import at_fork


class Watched(ABC):
    """Something that holds objects of a database."""

    @abstractmethod
    def abandon(self) -> None:
        """Refuse from now on, in the child of a fork, and `keep` what is held."""


def watch(one: Watched) -> None:
    """Have something abandoned in the children of this process."""
    _WATCHED.add(one)


def keep(*held: object) -> None:
    """See to it that objects are never freed in this process, not at its exit either."""
    for one in held:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))


def _abandon_all() -> None:
    for one in list(_WATCHED):
        one.abandon()
    _WATCHED.clear()


_WATCHED: WeakSet[Watched] = WeakSet()
at_fork(_abandon_all)
