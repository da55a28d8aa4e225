"""Functions that tests send to workers; these import them by name."""

import os
import signal
import time
from typing import NamedTuple

from cgcython.errors import InvalidInput


def square(number):
    return number * number


def refuse_odd(number):
    if number % 2:
        raise InvalidInput(what="number", expected="an even one", actual=number)
    return number


def fail_at_three(error, number):
    if number == 3:
        raise error("three")
    return number


def fail_with(secret, item):
    raise ValueError("an error of its own")


def process_of(number):
    time.sleep(0.05)
    return os.getpid()


def die_once(folder, number):
    """Kill this worker at 3, unless that was done before; return the number."""
    mark = folder / "killed"
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def touch(folder, number):
    time.sleep(0.02)
    (folder / str(number)).touch()


class AtHome(NamedTuple):
    """An item that one worker is to have each time."""

    home: int


def home_and_process(item):
    time.sleep(0.05)
    return os.getpid()


class DeadlyNearest:
    """`ShardGroup.nearest` that kills the worker of the first group that is asked."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, group, asked, wanted):
        try:
            self.mark.touch(exist_ok=False)
        except FileExistsError:
            return group.nearest(asked, wanted)
        os.kill(os.getpid(), signal.SIGKILL)


def hold(most):
    """Hold memory, some bytes in all, long enough for Dask to see them; return what was held."""
    import psutil  # Dask needs it

    used = psutil.Process().memory_info().rss
    held = bytearray(b"1") * (int(most) - used)
    time.sleep(1)
    return used, len(held)
