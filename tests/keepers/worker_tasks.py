"""Functions that tests of jobs send to workers; these import them by name."""

import os
import signal


def die_first(mark, function, item):
    """Kill the worker that comes first; otherwise return what a function returns for an item."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return function(item)
    os.kill(os.getpid(), signal.SIGKILL)
