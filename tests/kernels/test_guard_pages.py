"""Kernels stay within their arrays: these lie against pages that nobody may touch.

Arrays end where such a page begins, at each size and so at each alignment, or begin where one
ends. A result must be the one of the same call in ordinary memory, bit for bit.
"""

import faulthandler

import numpy as np
import pytest
from kernel_arrays import Make
from kernel_calls import CALLS
from kernel_doors import GuardedCalls, in_child, parameters

from cgcython.kernels import dispatch

SIZES = range(301)
# Rows behind the first hundreds or thousands, with which some kernels go another way.
LARGE = {
    "adc": [(5000, 8), (5003, 21)],
    "bits": [(5000, 129)],
    "dense.top_k": [(70_001, 0)],
    "dense.rows_above": [(70_001, 0)],
    "dense.count_above": [(9001, 5)],
    "maxsim_screen": [(1100, 16)],
    "sparse_products.dot_rows": [(3000, 3)],
    "postings.score": [(33_000, 1)],
    "postings.best": [(33_000, 1)],
    "token_records": [(2000, 40)],
    "tokens": [(5000, 40)],
}
# Values that no cache holds, written around them.
STREAMED = {"e4m3.encode": [(0, 12_600_003)], "e4m3.decode": [(0, 12_600_003)]}
LEVELS = dispatch.available()[1:]


def stay_within(level, shapes_of):
    """Return how the kernels of a level fail at shapes_of(name)."""

    def work(report):
        calls = GuardedCalls()
        for name in CALLS:
            family, function = name.split()[0].split(".")
            kernel = getattr(dispatch.load(family, level), function)
            for rows, dim in shapes_of(name):
                report(f"at {name}: {rows} rows of {dim}")
                if not is_the_same(kernel, name, CALLS[name](Make(dim), rows, dim), calls):
                    report(f"{name}: {rows} rows of {dim} differ")

    return in_child(work)


def both_ways(sizes):
    return [shape for size in sizes for shape in ((3, size), (size, 3))]


def is_the_same(kernel, name, arguments, calls):
    """Return whether a call gives the same in ordinary memory and against guarded pages."""
    at_end = [np.copy(x) if isinstance(x, np.ndarray) else x for x in arguments]
    at_begin = [np.copy(x) if isinstance(x, np.ndarray) else x for x in arguments]
    expected = kernel(*arguments)
    for original, place in ((at_end, True), (at_begin, False)):
        guarded = calls.place(original, place)
        if as_bytes(kernel(*guarded)) != as_bytes(expected):
            return False
        if results(name, guarded) != results(name, arguments):
            return False
    return True


def results(name, arguments):
    """Return what is compared of arguments: all but scratch."""
    named = zip(parameters(name), arguments)
    return [as_bytes(value) for parameter, value in named if parameter != "scratch"]


def as_bytes(value):
    """Return what is compared: the bytes of arrays, alone or in a tuple; numbers as they are."""
    if isinstance(value, tuple):
        return [as_bytes(one) for one in value]
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


@pytest.mark.parametrize("level", LEVELS)
def test_arrays_of_any_size_are_not_left(level, part):
    def shapes_of(name):
        return [(3, 0), (0, 3), *part(both_ways(SIZES) + STREAMED.get(name, []), 50)]

    assert stay_within(level, shapes_of) == []


@pytest.mark.parametrize("level", LEVELS)
def test_large_arrays_are_not_left_either(level):
    def shapes_of(name):
        return LARGE.get(name.partition(".")[0], []) + LARGE.get(name, [])

    assert stay_within(level, shapes_of) == []


def test_a_read_behind_an_array_is_caught():
    def work(report):
        faulthandler.disable()
        array = GuardedCalls().place((np.zeros(100, np.uint8),))[0]
        report(str(np.lib.stride_tricks.as_strided(array, (101,)).sum()))

    # By a signal, or with status 1 where the address sanitizer sees it first.
    assert in_child(work)[0].startswith("died of ")
