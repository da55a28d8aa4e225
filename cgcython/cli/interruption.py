"""Ctrl-C that falls where Python forgets exceptions is pressed once more.

Python raises KeyboardInterrupt in whatever code runs at that moment. Out of a `__del__` or the
callback of a weak reference, which every import has, it reaches nobody: Python reports it to
`sys.unraisablehook`, and the command would run on as if nobody had pressed anything.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cgcython.system import press_ctrl_c

SOON = 0.05  # seconds, in which the callback has ended


@contextmanager
def never_forgotten() -> Iterator[None]:
    """Within the block a KeyboardInterrupt that reached nobody is raised again.

    It must be entered in the main thread, where Python raises KeyboardInterrupt.
    """
    before = sys.unraisablehook
    presses: list[threading.Timer] = []

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            before(unraisable)
            return
        presses.append(threading.Timer(SOON, _press, [threading.get_ident()]))
        presses[-1].daemon = True
        presses[-1].start()

    sys.unraisablehook = hook
    try:
        yield
        if any(press.is_alive() for press in presses):  # the block ended before it was raised
            raise KeyboardInterrupt
    finally:
        sys.unraisablehook = before
        for press in presses:
            press.cancel()


def _press(thread: int) -> None:
    # A signal of its own, for a flag alone would not end a wait for the system.
    press_ctrl_c(thread)
