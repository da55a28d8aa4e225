"""What doors of kernels are tried with: parameters by name, forked children, guarded memory."""

import ctypes
import inspect
import mmap
import os
import re
import tempfile
import traceback
from functools import cache
from pathlib import Path

import numpy as np

from cgcython import kernels
from cgcython.kernels import dispatch

FOLDER = Path(kernels.__file__).parent
PAGE = mmap.PAGESIZE
NO_ACCESS = 0  # PROT_NONE, which mmap does not export


@cache
def parameters(name):
    """Return the parameters of family.function, in order."""
    family, function = name.split()[0].split(".")
    return tuple(
        inspect.signature(getattr(dispatch.load(family, "reference"), function)).parameters
    )


@cache
def written(name):
    """Return the parameters that family.function writes to, as its .pyx declares them."""
    family, function = name.split()[0].split(".")
    source = (FOLDER / f"{family}.pyx").read_text()
    declared = re.search(rf"^def {function}\((.*?)\):\n", source, re.M | re.S)[1]
    views = re.findall(r"^ *(?!const )\w+\[[:, 1]+\] (\w+)", declared, re.M)
    objects = re.findall(r"object (\w+)(?:=None)?,? +# (?:IN)?OUT", declared)
    optional = re.findall(r"\b(out)=None", declared)
    return tuple(dict.fromkeys([*views, *objects, *optional]))


def in_child(work):
    """Run work(report) in a forked child and return the lines it reported, or how it died.

    A report that begins with "at " tells where the work stands, and is not returned.
    """
    with tempfile.TemporaryFile("w+") as file:
        child = os.fork()
        if child == 0:
            _work_and_leave(work, file)
        status = os.waitpid(child, 0)[1]
        file.seek(0)
        lines = file.read().splitlines()
    found = [line for line in lines if not line.startswith("at ")]
    if status:
        last = [line for line in lines if line.startswith("at ")][-1:]
        found.append(f"died of {os.waitstatus_to_exitcode(status)} {last}")
    return found


def _work_and_leave(work, file):
    def report(line):
        print(line, file=file, flush=True)

    status = 1
    try:
        work(report)
        status = 0
    except BaseException:
        report(traceback.format_exc().replace("\n", " | "))
    finally:
        os._exit(status)


class Guarded:
    """Memory between two pages that nobody may touch."""

    def __init__(self, size):
        self._inside = -(-max(size, 1) // PAGE) * PAGE
        self._map = mmap.mmap(-1, self._inside + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (start, start + PAGE + self._inside):
            if protect(page, PAGE, NO_ACCESS):
                raise OSError(ctypes.get_errno(), "mprotect")

    @property
    def size(self):
        return self._inside

    def copy(self, array, at_end=True):
        """Return a copy that ends where the last page begins, or begins where the first ends."""
        offset = PAGE + (self._inside - array.nbytes if at_end else 0)
        copy = np.frombuffer(self._map, array.dtype, array.size, offset).reshape(array.shape)
        copy[...] = array
        return copy


class GuardedCalls:
    """Puts the arrays of one call after another between pages that nobody may touch."""

    def __init__(self):
        self._spaces = {}

    def place(self, arguments, at_end=True):
        """Return arguments whose arrays are copies in guarded memory."""
        numbers = iter(range(1000))
        return tuple(self._placed(value, numbers, at_end) for value in arguments)

    def _placed(self, value, numbers, at_end):
        if isinstance(value, tuple):
            return type(value)(*(self._placed(one, numbers, at_end) for one in value))
        if not isinstance(value, np.ndarray):
            return value
        number = next(numbers)
        space = self._spaces.get(number)
        if space is None or space.size < value.nbytes:
            space = self._spaces[number] = Guarded(2 * value.nbytes)
        return space.copy(value, at_end)
