"""Columns of keys: what is none is refused, and arrays of them are those of single keys."""

import numpy as np
import pytest

from cgcython.search.keys import END, key_array
from cgcython.store.ids import as_key, is_key
from cgcython.store.key_columns import KeyColumn
from cgcython.tensors import Malformed

UUIDS = [bytes(16), bytes(range(16)), b"\3" + bytes(15)]
TEXTS = ["a", "doc-5", "\N{SNOWMAN}" * 9, "x" * 512, "0" * 14, "0" * 16]
KEYS = {
    "uuids": UUIDS,
    "texts": list(map(as_key, TEXTS)),
    "numbers": list(map(as_key, [0, 5, 2**64 - 1, -1, -(2**63)])),
    "texts of fifteen bytes": list(map(as_key, ["fifteen bytes 1", "x" * 15])),
    "none": [],
}
KEYS["all"] = [key for keys in KEYS.values() for key in keys]
NONE = {
    "text that spells a UUID": b"\3" + b"00000000-0000-0000-0000-000000000000",
    "half a character": b"\3abc\xe2\x98",
    "the other half": b"\3\x83abc",
    "no text": b"\3",
    "text that is too long": b"\3" + b"x" * 513,
    "text of fifteen bytes in short": b"\4" + b"x" * 15 + b"\1",
    "a number of seven bytes": b"\2" + bytes(7),
    "a negative number above zero": b"\1\x80" + bytes(7),
    "no bytes": b"",
    "another tag": b"\5abc",
}


def taken(keys):
    return KeyColumn.taken(dict(KeyColumn.of(keys).arrays(free=True)))


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_keys_are_taken_and_padded_as_single_keys_are(keys):
    column = taken(keys)
    assert column.keys() == keys
    np.testing.assert_array_equal(column.padded(END), key_array(keys))
    assert column.padded(END).dtype.kind == "S"


@pytest.mark.parametrize("wrong", NONE.values(), ids=NONE)
@pytest.mark.parametrize("others", [[], KEYS["texts"], KEYS["all"]], ids=["alone", "texts", "all"])
def test_what_is_no_key_is_refused(wrong, others):
    assert not is_key(wrong)
    for keys in ([*others, wrong], [wrong, *others]):
        with pytest.raises(Malformed, match="its ids are none"):
            taken(keys)


def test_a_character_that_begins_in_one_key_and_ends_in_the_next_is_refused():
    with pytest.raises(Malformed, match="its ids are none"):
        taken([b"\3ab\xe2", b"\3\x98\x83c"])
