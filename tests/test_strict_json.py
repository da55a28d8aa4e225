"""JSON is read strictly: what readers could understand differently is a ValueError."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython import strict_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_is_written_is_read(value):
    assert strict_json.parse(strict_json.to_text(value)) == value


WRONG = {
    "a key twice": '{"a": 1, "a": 2}',
    "NaN": "NaN",
    "an infinity": "[-Infinity]",
    "a number that overflows": "[1e999]",
    "an endless number": "9" * 5000,
    "33 lists": "[" * 33 + "]" * 33,
    "endless lists": "[" * 100_000,
    "endless objects": '{"a":' * 100_000,
    "nothing": "",
    "no UTF-8": b"\xff",
    "a control character": '"\t"',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_every_other_text_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        strict_json.parse(text)


def test_thirty_two_levels_are_taken():
    text = "[" * 32 + "]" * 32
    assert strict_json.to_text(strict_json.parse(text)) == text


@given(st.text())
def test_any_text_is_read_as_by_json_or_refused(text):
    try:
        found = strict_json.parse(text)
    except ValueError:
        return
    assert found == json.loads(text)


def test_what_would_not_be_read_is_not_written():
    deep = []
    for _ in range(5000):
        deep = [deep]
    for value in (float("nan"), deep):
        with pytest.raises(ValueError, match=r"."):
            strict_json.to_text(value)


def test_only_an_object_is_an_object():
    assert strict_json.parse_object(b"{}") == {}
    with pytest.raises(ValueError, match="list instead of an object"):
        strict_json.parse_object("[]")
