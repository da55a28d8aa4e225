"""A looped test sees every value, keeps its fixtures, and names the value that fails."""

import inspect

import pytest
from looping import looped


def test_every_value_is_tried_with_every_other():
    seen = []

    @looped(("a", "b"), [(1, 2), (3, 4)])
    @looped("c", iter("xy"))
    def try_it(fixture, a, b, c):
        seen.append((fixture, a, b, c))

    assert list(inspect.signature(try_it).parameters) == ["fixture"]
    try_it(fixture=0)
    assert seen == [(0, 1, 2, "x"), (0, 1, 2, "y"), (0, 3, 4, "x"), (0, 3, 4, "y")]


def test_what_fails_is_named():
    @looped("n", range(9))
    def try_it(n):
        assert n < 5

    with pytest.raises(AssertionError) as failed:
        try_it()
    assert failed.value.__notes__ == ["try_it with {'n': 5}"]
