"""No arguments lead a kernel out of its arrays: each is refused at the door, or harmless.

Kernels are called in a forked child, so that a crash is a failure like others.
"""

import ast

import numpy as np
import pytest
from kernel_arrays import Make
from kernel_calls import CALLS
from kernel_doors import FOLDER, GuardedCalls, in_child, parameters, written

from cgcython.kernels import dispatch

# Every level has the doors of one source: the reference, the first and the last stand for all.
LEVELS = sorted(
    {*dispatch.available()[:2], dispatch.available()[-1]}, key=dispatch.available().index
)
ROWS, DIM = 6, 24
REFUSALS = (ValueError, TypeError, BufferError)
# Kernels of one vector ask for a closer look; is_sound answers; hamming reads any bytes.
LOOKS_CLOSER = {"maxsim.pair", "maxsim.matrix_of", "token_records.is_sound", "bits.hamming"}
OPTIONAL = {"out", "scales", "importance", "prepared"}
EXTREMES = [-(2**63), 2**63 - 1, 2**62, 2**63 - 8, 2**32, 2**31, -1, 0, 1, -(2**31)]


def arrays_of(name, arguments):
    """Yield (parameter, index, array) of every array of a call, those of codebooks included."""
    for index, (parameter, value) in enumerate(zip(parameters(name), arguments)):
        for array in value if isinstance(value, tuple) else (value,):
            if isinstance(array, np.ndarray):
                yield parameter, index, array


def kernel_of(name, level):
    family, function = name.split()[0].split(".")
    return getattr(dispatch.load(family, level), function)


def walk(level, variations, unexpected=None):
    """Call each kernel of a family with `variations(name)`; return the wrong answers.

    Variations are (label, arguments, expected): `expected` is a part of the answer, or None where
    any will do that does not hold `unexpected`.
    """

    def work(report):
        for name in CALLS:
            for label, arguments, expected in variations(name):
                report(f"at {name}: {label}")
                answer = answer_of(kernel_of(name, level), arguments)
                if (expected or "") not in answer or (unexpected and unexpected in answer):
                    report(f"{name}: {label}: {answer}")

    return in_child(work)


def answer_of(kernel, arguments):
    """Return what a kernel says against its arguments, "looks closer" or "takes it"."""
    try:
        answer = kernel(*arguments)
    except REFUSALS as error:
        return f"refuses: {error}"
    except (OverflowError, MemoryError) as error:
        return f"refuses by {type(error).__name__}"
    return "looks closer" if answer is None else f"takes it: {str(answer)[:40]}"


def functions():
    """Return every function of every stub."""
    for family in dispatch.FAMILIES:
        for node in ast.parse((FOLDER / f"{family}.pyi").read_text()).body:
            if isinstance(node, ast.FunctionDef):
                yield f"{family}.{node.name}"


def test_every_kernel_has_a_call():
    assert {name.split()[0] for name in CALLS} == set(functions())


def sound(name):
    """Yield calls of usual and of empty arrays."""
    for rows, dim in [(ROWS, DIM), (1, 1), (0, 0), (0, DIM), (ROWS, 0)]:
        yield f"{rows} rows of {dim}", CALLS[name](Make(), rows, dim), None


@pytest.mark.parametrize("level", LEVELS)
def test_sound_calls_are_taken(level):
    assert walk(level, sound, unexpected="refuses") == []


def overlapping(name):
    """Yield calls in which an output overlaps another array, at its begin or by its end."""
    arguments = CALLS[name](Make(), ROWS, DIM)
    for output, place, target in list(arrays_of(name, arguments)):
        for other, index, array in arrays_of(name, arguments):
            if output not in written(name) or array is target or not array.size * target.size:
                continue
            for offset in {0, (array.nbytes - 1) // 8 * 8}:
                in_place = name.startswith("dense.turn_rows") and offset == 0
                changed = shared(arguments, place, target, index, array, offset)
                label = f"{output} over {other} from byte {offset} on"
                yield label, changed, None if in_place else "overlaps"


def shared(arguments, place, target, index, array, offset):
    """Return arguments with an array at the begin of new memory, an output `offset` bytes on."""
    space = np.zeros(array.nbytes + offset + target.nbytes + 64, np.uint8)
    space = space[-space.ctypes.data % 64 :]
    first = space[: array.nbytes].view(array.dtype).reshape(array.shape)
    first[...] = array
    second = space[offset : offset + target.nbytes].view(target.dtype).reshape(target.shape)
    changed = list(arguments)
    changed[index] = put(arguments[index], array, first)
    changed[place] = second
    return changed


def put(value, array, new):
    """Return a value with an array replaced: the array itself, or a codebook with it."""
    if not isinstance(value, tuple):
        return new
    return type(value)(*(new if one is array else one for one in value))


@pytest.mark.parametrize("level", LEVELS)
def test_outputs_overlap_nothing(level):
    assert walk(level, overlapping) == []


def unplain(name):
    """Yield calls with one array that kernels must not read or write by its pointer."""
    arguments = CALLS[name](Make(), ROWS, DIM)
    for parameter, index, array in list(arrays_of(name, arguments)):
        if not array.size or is_ignored(name, parameter):
            continue
        for label, odd in odd_versions(array, parameter in written(name)):
            changed = list(arguments)
            changed[index] = put(arguments[index], array, odd)
            expected = None if can_answer(name) else "refuses"
            yield f"{parameter} is {label}", changed, expected


def is_ignored(name, parameter):
    """Return whether a layout has no use for a parameter."""
    return parameter == "importance" and name != "token_records.encode 0"


def can_answer(name):
    name = name.split()[0]
    return name in LOOKS_CLOSER or name.endswith("_vector")


def odd_versions(array, is_written):
    """Yield (what is odd, an array of the same values): misaligned, strided, read-only."""
    if array.itemsize > 1:
        space = np.zeros(array.nbytes + 1, np.uint8)[1:]
        misaligned = space.view(array.dtype).reshape(array.shape)
        misaligned[...] = array
        yield "misaligned", misaligned
    yield "strided", np.repeat(array, 2, axis=-1)[..., ::2]
    if len(array) > 1:
        yield "reversed", array[::-1].copy()[::-1]
    if array.ndim > 1 and min(array.shape) > 1:
        yield "in Fortran's order", np.asfortranarray(array)
    yield "one value repeated", np.broadcast_to(array.reshape(-1)[:1], array.shape)
    if is_written:
        read_only = array.copy()
        read_only.flags.writeable = False
        yield "read-only", read_only


@pytest.mark.parametrize("level", LEVELS)
def test_only_plain_arrays_pass(level):
    assert walk(level, unplain) == []


def other_kinds(name):
    """Yield calls with something else in place of an array."""
    arguments = CALLS[name](Make(), ROWS, DIM)
    for parameter, index, array in list(arrays_of(name, arguments)):
        for label, kind in kinds_like(array):
            changed = list(arguments)
            changed[index] = put(arguments[index], array, kind)
            is_fine = (kind is None and parameter in OPTIONAL) or (
                isinstance(kind, bytes) and array.dtype == np.uint8
            )
            answered = is_fine or is_ignored(name, parameter) or can_answer(name)
            yield f"{parameter} is {label}", changed, None if answered else "refuses"


def kinds_like(array):
    """Yield (what it is, something that is not the array a kernel expects)."""
    yield "None", None
    yield "a list", array.tolist()
    yield "text", "text"
    yield "bytes of another length", b"\0" * (array.nbytes // 2 + 1)
    yield "objects", array.astype(object)
    yield "complex", np.zeros(array.shape, np.complex128)
    yield "with one axis more", array[None]
    yield "with no axis", np.array(1, array.dtype)
    if array.itemsize > 1:
        yield "of the other byte order", array.astype(array.dtype.newbyteorder())
        yield "a misaligned memoryview", misaligned_view(array)


def misaligned_view(array):
    view = memoryview(bytearray(array.nbytes + 1))[1:]
    return (
        view.cast(array.dtype.char, array.shape) if array.ndim > 1 else view.cast(array.dtype.char)
    )


@pytest.mark.parametrize("level", LEVELS[1:])
def test_other_kinds_are_refused(level):
    assert walk(level, other_kinds) == []


def extreme(name):
    """Yield calls with one number that is far off, their arrays between guarded pages."""
    arguments, calls = CALLS[name](Make(), ROWS, DIM), GuardedCalls()
    for index, (parameter, value) in enumerate(zip(parameters(name), arguments)):
        if isinstance(value, int) and not isinstance(value, bool):
            for number in EXTREMES:
                changed = [*arguments[:index], number, *arguments[index + 1 :]]
                yield f"{parameter} = {number}", calls.place(changed), None
    for parameter, index, array in list(arrays_of(name, arguments)):
        for place, number in extreme_values(array):
            odd = array.copy()
            odd.reshape(-1)[place] = number
            changed = list(arguments)
            changed[index] = put(arguments[index], array, odd)
            yield f"{parameter}[{place}] = {number}", calls.place(changed), None


def extreme_values(array):
    """Yield (flat places, value) to put into an array."""
    if not array.size:
        return
    if array.dtype.kind == "f":
        numbers = [np.nan, np.inf, -np.inf, np.finfo(array.dtype).max, 1e-45]
    else:
        limits = np.iinfo(array.dtype)
        numbers = [
            x for x in (*EXTREMES, limits.max, limits.max - 1) if limits.min <= x <= limits.max
        ]
    for number in numbers:
        for place in (0, array.size // 2, array.size - 1, slice(None)):
            yield place, number


@pytest.mark.parametrize("level", LEVELS[1:])
def test_extreme_numbers_lead_nowhere(level):
    assert walk(level, extreme) == []
