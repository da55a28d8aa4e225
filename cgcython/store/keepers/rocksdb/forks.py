"""Keeps the children of a fork away from what their parent has open.

RocksDB's threads do not survive a fork, and a lock of one of them may be held for ever: in the
child nothing may call the parent's databases, not even to give something back. So whatever holds an
object of RocksDB is watched.

A child can open databases of its own to read them. It cannot write, for a write waits for threads.
"""

import ctypes

from cgcython.errors import StoreUnavailable
from cgcython.store.keepers.forks import Watched, keep, watch
from cgcython.system import at_fork
from cgcython.types import StrPath

__all__ = ["REFUSAL", "Watched", "keep", "watch", "will_read", "will_write"]
REFUSAL = (
    "it was opened before a fork, and only the process that opened it can use it; "
    "open it in this process with follow=True or read_only=True"
)
_LOST = (
    "this process is a fork of one that had opened a store, and RocksDB's threads stayed there: "
    "it can read stores, but not write; start it by spawn or forkserver, or fork earlier"
)


class _Threads:
    """Whether RocksDB's threads run in this process, and whether a fork has lost them."""

    started = lost = False


def will_read() -> None:
    """Note that RocksDB is used in this process."""
    _Threads.started = True


def will_write(path: StrPath) -> None:
    """Note that RocksDB is used; raises StoreUnavailable where a fork has lost its threads."""
    if _Threads.lost:
        raise StoreUnavailable(path=path, reason=_LOST)
    _Threads.started = True


def _lose_threads() -> None:
    if _Threads.started and not _Threads.lost:
        _Threads.lost = True
        _leave_without_destructors()


def _leave_without_destructors() -> None:
    """Let this process exit without RocksDB's own end, which joins the threads that are lost.

    That crashes or hangs. What on_exit was given runs before it, last given first: the buffers of
    C are written, and the process ends with its status. Python has finished by then.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc
        for function in (libc._exit, libc.fcloseall):
            libc.on_exit(ctypes.cast(function, ctypes.c_void_p), None)


at_fork(_lose_threads)
