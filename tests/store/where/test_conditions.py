"""What is no condition is refused with what was expected in its place."""

from datetime import date

import numpy as np
import pytest

from cgcython.errors import InvalidInput
from cgcython.store.where.conditions import parsed


def nested(levels):
    where = {}
    for _ in range(levels - 1):
        where = {"$not": where}
    return where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("lang = en", "expected an object of conditions"),
        ([("lang", "en")], "expected an object of conditions"),
        ({1: 2}, "expected paths that are texts, got 1"),
        ({"$nor": [{}]}, "expected a path or $and, $or, $not, got '$nor'"),
        ({"$and": {}}, "expected $and with a list of one or more objects"),
        ({"$or": []}, "expected $or with a list of one or more objects"),
        ({"$or": ["a"]}, "expected an object of conditions"),
        ({"$not": 5}, "expected an object of conditions"),
        ({"a": {"$regex": "x"}}, "expected one of $eq, $ne, $gt"),
        ({"a": {"$gt": 1, "b": 2}}, "expected one of $eq, $ne, $gt"),
        ({"a": {"$gt": None}}, "expected $gt with a number or a text, got None"),
        ({"a": {"$lte": True}}, "expected $lte with a number or a text, got True"),
        ({"a": {"$lt": [1]}}, "expected $lt with a number or a text"),
        ({"a": {"$gte": "x" * 65}}, "expected $gte with a text of at most 64 characters"),
        ({"a": {"$in": "text"}}, "expected $in with a list of values"),
        ({"a": {"$nin": 5}}, "expected $in with a list of values"),
        ({"a": {"$in": {"b": 1}}}, "expected $in with a list of values"),
        ({"a": {"$exists": 1}}, "expected $exists with true or false"),
        ({"a": {"$not": 5}}, "expected $not with an object of operators"),
        ({"a": {"$not": {"b": 5}}}, "expected $not with an object of operators"),
        ({"a": float("nan")}, "expected values that JSON has, got nan"),
        ({"a": {"$lt": float("inf")}}, "expected values that JSON has, got inf"),
        ({"a": {1, 2}}, "expected values that JSON has"),
        ({"a": b"bytes"}, "expected values that JSON has"),
        ({"a": "\ud800"}, "expected text that UTF-8 has"),
        ({"\ud800": 1}, "expected text that UTF-8 has"),
        ({"a": 10**5000}, "expected values that JSON has, got int"),
        (nested(34), "expected at most 32 levels"),
        (nested(100_000), "expected at most 32 levels"),
        ({"a": {"$in": [object()]}}, "expected values that JSON has"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_no_condition_is_refused(where, message):
    with pytest.raises(InvalidInput) as raised:
        parsed(where)
    assert message in str(raised.value)


def test_values_are_taken_as_metadata_are():
    given = {"day": {"$gte": date(2024, 5, 1)}, "n": np.int64(3), "m": {"$in": np.arange(2)}}
    plain = {"day": {"$gte": "2024-05-01"}, "n": 3, "m": {"$in": [0, 1]}}
    assert parsed(given) == parsed(plain)


def test_any_collection_has_the_values_of_in():
    assert parsed({"a": {"$in": ("x", "y")}}) == parsed({"a": {"$in": ["x", "y"]}})
    assert parsed({"a": {"$in": {"x"}}}) == parsed({"a": {"$in": ["x"]}})


def test_the_deepest_conditions_are_taken():
    parsed(nested(32))
