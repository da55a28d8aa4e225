"""Closes the databases that are open when the process exits, before Python stops other threads.

A daemon thread that comes back from RocksDB once Python has begun to end is ended in the middle of
the library, which aborts the process. So before, all databases refuse, and the threads that are
inside a call are waited for. Frames are looked at instead of counting calls, which would cost each.
"""

import atexit
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Protocol
from weakref import WeakSet

from cgcython.locks import ForkSafeLock

LONGEST_S = 10.0
_PAUSE_S = 0.001
_HERE = str(Path(__file__).parent)


class Closable(Protocol):
    """What is open until `close`, which refuses, then waits, and then gives everything back."""

    def close(self, wait: Callable[[], None]) -> None: ...


_OPEN, _LOCK = WeakSet[Closable](), ForkSafeLock()


def close_at_exit(one: Closable) -> None:
    """Have something closed when the process exits, unless it was before."""
    with _LOCK:
        _OPEN.add(one)


def _leave() -> None:
    with _LOCK:
        still_open = list(_OPEN)
    for one in still_open:
        one.close(_wait)


def _wait() -> None:
    until = time.monotonic() + LONGEST_S
    while _is_inside() and time.monotonic() < until:
        time.sleep(_PAUSE_S)


def _is_inside() -> bool:
    """Return whether another thread is in a call of RocksDB."""
    own = threading.get_ident()
    frames = sys._current_frames().items()
    return any(_is_here(frame) for thread, frame in frames if thread != own)


def _is_here(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_HERE)


atexit.register(_leave)
