"""Closes the databases that are open when the process exits, before Python stops other threads.

A daemon thread that comes back from a library in C++ once Python has begun to end is ended in the
middle of it, which aborts the process: RocksDB is one, and so is what NumPy counts unique values
with. So before, all databases refuse, and threads are waited for that are inside RocksDB or, for a
shorter time, inside any call of this package, most of which end by being refused. Frames are looked
at instead of counting calls, which would cost each.
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

LONGEST_S, LONGEST_ELSEWHERE_S = 10.0, 2.0
_PAUSE_S = 0.001
_HERE, _PACKAGE = str(Path(__file__).parent), str(Path(__file__).parents[3])


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
    _wait_for(_is_here, LONGEST_S)
    _wait_for(_is_in_package, LONGEST_ELSEWHERE_S)


def _wait_for(is_inside: Callable[[FrameType], bool], longest_s: float) -> None:
    """Wait until no other thread is inside, by the frame that it runs."""
    own, until = threading.get_ident(), time.monotonic() + longest_s
    while time.monotonic() < until:
        frames = sys._current_frames().items()
        if not any(is_inside(frame) for thread, frame in frames if thread != own):
            return
        time.sleep(_PAUSE_S)


def _is_here(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_HERE)


def _is_in_package(frame: FrameType) -> bool:
    """Return whether a frame, or one that called it, is of this package."""
    found: FrameType | None = frame
    while found is not None and not found.f_code.co_filename.startswith(_PACKAGE):
        found = found.f_back
    return found is not None


atexit.register(_leave)
