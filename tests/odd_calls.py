"""Calls of every public name with arguments of every kind, most of them wrong.

    python tests/odd_calls.py 50000          make so many calls, print what escapes, exit 1 if any
    python tests/odd_calls.py 50000 --seed 7
    python tests/odd_calls.py --only 1234    make one of them again, with its traceback

Each call draws its arguments from a generator seeded by its number: mostly values that suit a
parameter of that name, one or more that do not; half of the calls are made under np.seterr. A call
may return or raise a QuantizationError that prints and survives pickling; anything else escaped.
"""

import argparse
import enum
import inspect
import os
import pickle
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from odd_values import FLAGS, ODD, SUITABLE, World

import cgcython
from cgcython.codecs.base import Codec
from cgcython.errors import QuantizationError

HUGE_BYTES = 4 << 30  # beyond what the process has when it begins
SLOW_SECONDS = 10
# Python's own protocols raise these: of subscripts, of arguments that no signature has.
SUBSCRIPT = (KeyError, IndexError, TypeError)
# They end or empty what the other calls use, or are Python's, as of tuples and numbers.
LEFT_OUT = {"close", "purge", "index", "count", "trusted", "run"}
# What the package calls of a codec, with what it has checked.
HOOKS = {
    "for_dimension",
    "for_row",
    "float32_bytes",
    "batch_float32_bytes",
    "count_rows",
    "compact",
    "compact_for",
    "unknown",
}
PYTHON_S = (enum.Enum, int, float, tuple)


class Call(NamedTuple):
    """A callable by name, what it returns to, and what Python's protocol lets it raise."""

    name: str
    function: object
    may_raise: tuple = ()


class Escaped(NamedTuple):
    """What went wrong in a call, in a line."""

    number: int
    call: str
    what: str


def public_calls(world):
    """Return all calls: functions, constructors, and methods of the world's objects."""
    found = []
    for name in cgcython.__all__:
        value = getattr(cgcython, name)
        if not inspect.isclass(value):
            found.append(Call(name, value))
        elif not issubclass(value, (Exception, enum.Enum)):
            if "keeper" not in parameters_of(value):  # stores are made by `open`
                found.append(Call(name, value))
            found += [Call(f"{name}.{one}", getattr(value, one)) for one in class_methods(value)]
    for name, thing in world.things.items():
        found += [Call(f"{name}.{one}", getattr(thing, one)) for one in methods(thing)]
        found += operators(name, thing)
    found += [Call("ModelId.parse", cgcython.ModelId.parse)]
    found += [Call("ModelId.dimension", cgcython.ModelId.HDC.dimension)]
    found += [Call("QuantizationMethod.for_embedder", cgcython.QuantizationMethod.for_embedder)]
    return found


def own_names(kind):
    """Return the public names that a class adds to Python's."""
    theirs = {name for base in PYTHON_S if issubclass(kind, base) for name in dir(base)}
    left_out = theirs | LEFT_OUT | (HOOKS if issubclass(kind, Codec) else set())
    return [one for one in dir(kind) if not one.startswith("_") and one not in left_out]


def class_methods(kind):
    """Return the class and static methods of a class."""
    return [one for one in own_names(kind) if inspect.ismethod(getattr(kind, one))]


def methods(thing):
    """Return the methods of an object that its class does not have without it."""
    kind = type(thing)
    return [one for one in own_names(kind) if inspect.isfunction(getattr(kind, one))]


def operators(name, thing):
    """Return comparisons and, where there are some, subscripts of an object."""
    found = [
        Call(f"{name} ==", lambda other: _equal(thing, other)),
        Call(f"repr({name})", lambda: repr(thing)),
    ]
    if hasattr(thing, "__getitem__"):
        found.append(Call(f"{name}[]", lambda key: thing[key], SUBSCRIPT))
    if hasattr(thing, "__contains__"):
        found.append(Call(f"in {name}", lambda key: key in thing, (TypeError,)))
    return found


def _equal(thing, other):
    """Compare with anything but NumPy's arrays and numbers, which compare each of their values."""
    return isinstance(other, (np.ndarray, np.generic)) or thing == other


def parameters_of(function):
    """Return the parameters of a call, by name."""
    found = inspect.signature(function).parameters
    return {
        name: one
        for name, one in found.items()
        if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
    }


def arguments(function, rng, world):
    """Return keyword arguments: of every required parameter and some others, one or more odd."""
    chosen = {
        name: one
        for name, one in parameters_of(function).items()
        if one.default is one.empty or rng.random() < 0.4
    }
    odd = (
        set(rng.choice(list(chosen), min(len(chosen), int(rng.integers(1, 3)))))
        if chosen
        else set()
    )
    given = {}
    for name, parameter in chosen.items():
        suits = SUITABLE.get(name)
        source = ODD if name in odd or not suits else suits
        if isinstance(parameter.default, bool):  # Python asks it whether it is true
            source = FLAGS
        given[name] = source[int(rng.integers(len(source)))](world)
    if callable(given.get("progress")):  # what a caller's function raises is the caller's
        given["progress"] = 5
    return given


def make(number, seed, world, calls):
    """Make one call and return what escaped, or None."""
    rng = np.random.default_rng((seed, number))
    call = calls[int(rng.integers(len(calls)))]
    given = arguments(call.function, rng, world)
    began = time.perf_counter()
    try:
        with warnings.catch_warnings(), np.errstate(all="raise" if number % 2 else "warn"):
            warnings.simplefilter("ignore")
            positional, named = bound(call.function, given)
            consumed(call.function(*positional, **named))
    except QuantizationError as error:
        return unsound(error) and Escaped(number, call.name, unsound(error))
    except call.may_raise:
        pass
    except MemoryError as error:
        if not any(getattr(value, "nbytes", 0) > HUGE_BYTES for value in given.values()):
            return Escaped(number, call.name, f"MemoryError: {error}")
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        file = where.filename.rpartition("cgcython/")[2]
        what = f"{type(error).__name__}: {error!s:.80} at {file}:{where.lineno}"
        arguments_shown = ", ".join(f"{name}={shown(value)}" for name, value in given.items())
        return Escaped(number, f"{call.name}({arguments_shown})", what)
    seconds = time.perf_counter() - began
    return Escaped(number, call.name, f"took {seconds:.0f} s") if seconds > SLOW_SECONDS else None


def bound(function, given):
    """Return positional and keyword arguments, as a signature wants them."""
    kinds = parameters_of(function)
    positional = [
        value
        for name, value in given.items()
        if kinds[name].kind is inspect.Parameter.POSITIONAL_ONLY
    ]
    return positional, {
        name: value
        for name, value in given.items()
        if kinds[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    }


def consumed(result):
    """Run a generator to its end: only then does it work."""
    if inspect.isgenerator(result):
        for _ in zip(range(1000), result):
            pass


def unsound(error):
    """Return what is wrong with an error of the family itself."""
    try:
        text = str(error)
        repr(error)
        copy = pickle.loads(pickle.dumps(error))
        return (
            ""
            if str(copy) == text and len(text) < 4000
            else f"{type(error).__name__} is {len(text)} long or changes"
        )
    except Exception as failed:
        kind, cause = type(error).__name__, type(failed).__name__
        return f"{kind} does not print and pickle: {cause}: {failed!s:.80}"


def shown(value):
    """Return the beginning of a value's text."""
    try:
        return f"{type(value).__name__} {value!r:.40}".replace("\n", " ")
    except Exception as error:
        return f"{type(value).__name__} ({type(error).__name__})"


def escapes(count, seed=0, first=0):
    """Return what escaped of so many calls, in a folder and a process that bears them."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            with World(Path(folder)) as world:
                calls = public_calls(world)
                found = [make(number, seed, world, calls) for number in range(first, first + count)]
        finally:
            os.chdir(before)
    return [one for one in found if one]


def limit_memory():
    """Let the process grow by HUGE_BYTES and no more."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + HUGE_BYTES, resource.RLIM_INFINITY))


def main(argv=None):
    """Print what escapes, once for each kind, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=int, nargs="?", default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    options = parser.parse_args(argv)
    limit_memory()
    one = options.only is not None
    found = escapes(1 if one else options.count, options.seed, options.only if one else 0)
    kinds = Counter((escaped.call.partition("(")[0], escaped.what) for escaped in found)
    for escaped in found:
        kind = escaped.call.partition("(")[0], escaped.what
        if kind in kinds:
            print(f"{kinds.pop(kind):>4} like {escaped.number}: {escaped.call}: {escaped.what}")
    print(f"{len(found)} of {options.count} calls let something escape")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
