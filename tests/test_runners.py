"""A runner yields results, and errors of this package as values."""

import pytest

from cgcython.errors import InvalidInput
from cgcython.runners import InProcess


def refuse_odd(number):
    if number % 2:
        raise InvalidInput(what="number", expected="an even one", actual=number)
    return -number


def test_in_this_process_one_item_follows_the_other():
    drawn = []
    items = (drawn.append(n) or n for n in range(9))
    running = InProcess().run(refuse_odd, items)
    assert (next(running), drawn) == ((0, 0), [0])


def test_errors_of_this_package_are_values_and_others_are_raised():
    found = dict(InProcess().run(refuse_odd, [1, 2]))
    assert (type(found[1]), found[2]) == (InvalidInput, -2)
    with pytest.raises(TypeError):
        list(InProcess().run(refuse_odd, [None]))
