"""Keeps Ctrl-C from workers, and from what starts and ends them.

Ctrl-C goes to all processes of a terminal, and Python raises KeyboardInterrupt wherever the main
thread is. Half a cluster that was started, or ended, would leave processes and folders behind.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from cgcython.system import blocked, unblock

_SIGINT = {signal.SIGINT}


class LaterCtrlC:
    """A context manager in which Ctrl-C is noted, and raises KeyboardInterrupt when it ends.

    Threads and processes that are started in it never get that signal. Outside of the main thread,
    where Python raises nothing, it does nothing.
    """

    def __init__(self) -> None:
        self._is_main = threading.current_thread() is threading.main_thread()
        self._pressed = False

    def __enter__(self) -> "LaterCtrlC":
        if self._is_main:
            resource_tracker.ensure_running()  # which unblocks the signal when it starts
            self._handler = signal.getsignal(signal.SIGINT)
            self._mask = blocked(set())
            self._defer()
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            self._restore()
        self._raise_noted()

    @contextmanager
    def now(self) -> Iterator[None]:
        """Within the block Ctrl-C is what it was before, and raised where it was noted."""
        if not self._is_main:
            yield
            return
        self._restore()
        try:
            self._raise_noted()
            yield
        finally:
            self._defer()

    def _defer(self) -> None:
        signal.signal(signal.SIGINT, self._note)
        blocked(_SIGINT)

    def _restore(self) -> None:
        unblock(self._mask)  # calls _note if it was pressed
        signal.signal(signal.SIGINT, self._handler)

    def _note(self, *_: object) -> None:
        self._pressed = True

    def _raise_noted(self) -> None:
        if self._pressed:
            self._pressed = False
            raise KeyboardInterrupt
