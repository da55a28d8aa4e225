"""Numbers are taken as anybody writes them; what is none is named with what was expected."""

import numpy as np
import pytest

from cgcython.checks import require_choice, require_items, require_real, require_whole
from cgcython.errors import InvalidInput


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2), np.array(2)])
def test_whole_numbers_of_any_type_are_ints(value):
    assert type(require_whole(value, "k")) is int


@pytest.mark.parametrize("value", [2.0, "2", None, True, np.True_, [2], np.float32(2), np.nan])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(InvalidInput, match="k: expected 0 or more, got"):
        require_whole(value, "k")


def test_a_whole_number_has_its_range():
    assert require_whole(3, "k", least=1, most=3) == 3
    for value in (0, 4):
        with pytest.raises(InvalidInput, match=f"k: expected 1 to 3, got {value}"):
            require_whole(value, "k", least=1, most=3)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.int8(1), np.array(0.5)])
def test_real_numbers_of_any_type_are_floats(value):
    assert type(require_real(value, "threshold")) is float


@pytest.mark.parametrize("value", [np.nan, "0.5", b"1", None, [0.5], 1j, -0.1, 1.1])
def test_what_is_no_real_number_of_the_range_is_refused(value):
    with pytest.raises(InvalidInput, match="threshold: expected a number from 0 to 1, got"):
        require_real(value, "threshold", 0, 1)


def test_a_message_shows_the_beginning_of_what_came():
    with pytest.raises(InvalidInput) as refusal:
        require_whole([7] * 1000, "k")
    assert len(str(refusal.value)) < 130


@pytest.mark.parametrize(
    "values",
    [[1, 2], (1, 2), {1, 2}, {1: 0, 2: 0}.keys(), (one for one in (1, 2)), np.array([1, 2])],
)
def test_items_come_in_any_collection_or_generator(values):
    assert require_items(values, "ids") == [1, 2]


@pytest.mark.parametrize("values", ["12", b"12", memoryview(b"12"), 5, None, np.array(5)])
def test_what_has_no_items_is_refused(values):
    with pytest.raises(InvalidInput, match="ids: expected a collection, got"):
        require_items(values, "ids")


@pytest.mark.parametrize("value", ["x", None, ["mean"], np.array(["mean", "sum"])])
def test_a_choice_is_one_of_some_texts(value):
    with pytest.raises(InvalidInput, match="reduction: expected mean or sum, got"):
        require_choice(value, "reduction", ("mean", "sum"))
