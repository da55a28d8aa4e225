"""Ids are UUIDs, text and integers; each has one key, and each key one id."""

import pickle
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.search.keys import as_rows, found_among, from_rows, key_array, whole_keys
from cgcython.store.id_prefixes import IdPrefix
from cgcython.store.ids import as_key, id_of, is_key, name_of, parse_id, spelled
from cgcython.tensors import Malformed

NAME = UUID(int=255)
BYTES = NAME.bytes
STRIDED = memoryview(bytes(one for byte in BYTES for one in (byte, 7)))[::2]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
LONG = st.integers(1, 512).map(lambda n: "x" * n)
UUIDS, INTEGERS = st.uuids(), st.integers(-(2**63), 2**64 - 1)
IDS = UUIDS | INTEGERS | TEXTS | LONG


@given(IDS)
def test_an_id_comes_back_from_its_key(one):
    found = id_of(as_key(one))
    assert (found, type(found)) == (one, type(one))
    assert is_key(as_key(one))
    assert (len(as_key(one)) == 16) == isinstance(one, UUID)


@given(st.binary(max_size=20) | st.binary(min_size=8, max_size=8).map(b"\2".__add__))
def test_a_byte_string_is_a_key_only_of_the_id_that_has_it(key):
    try:
        assert as_key(id_of(key)) == key or not is_key(key)
    except StorageCorruption:
        assert not is_key(key)
        assert name_of(key) == f"key 0x{key.hex()}"


@given(st.lists(IDS, min_size=1, unique_by=as_key))
def test_keys_stay_what_they_are_in_arrays_and_files(some):
    keys = [*map(as_key, some)]
    array = key_array(keys)
    assert whole_keys(array) == keys
    assert whole_keys(from_rows(as_rows(array))) == keys
    ascending = np.sort(array)
    places, known = found_among(ascending, array)
    assert known.all()
    assert (ascending[places] == array).all()


@given(st.lists(IDS, min_size=1, max_size=5), st.lists(IDS, min_size=1, max_size=5))
def test_a_key_is_found_where_it_is_and_nowhere_else(some, others):
    _, known = found_among(
        np.sort(key_array([*map(as_key, some)])), key_array([*map(as_key, others)])
    )
    assert known.tolist() == [as_key(one) in set(map(as_key, some)) for one in others]


def test_keys_that_zeros_end_stay_apart():
    keys = [*map(as_key, ("a", "a\0", "a\0\0", 0, 256, UUID(int=1 << 64)))]
    assert whole_keys(np.unique(key_array(keys))) != sorted(keys)
    assert sorted(whole_keys(np.unique(key_array(keys)))) == sorted(keys)


@given(st.lists(INTEGERS, unique=True))
def test_keys_of_integers_ascend_with_them(some):
    assert sorted(some) == [id_of(key) for key in sorted(map(as_key, some))]


@given(IDS.filter(lambda one: not isinstance(one, str) or one.isprintable()))
def test_what_is_printed_names_the_same_record(one):
    assert parse_id(spelled(one)) == one
    assert name_of(as_key(one)) == spelled(one)


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("5", 5),
        ("-5", -5),
        ("text:5", "5"),
        ("text:text:5", "text:5"),
        ("05", "05"),
        ("-0", "-0"),
        ("+5", "+5"),
        ("5.0", "5.0"),
        ("٣", "٣"),
        ("9" * 21, "9" * 21),
        (str(NAME).upper(), NAME),
        (f"text:{NAME}", NAME),
    ],
)
def test_text_spells_integers_uuids_and_text(text, one):
    found = parse_id(text)
    assert (found, type(found)) == (one, type(one))


def test_names_are_one_printable_line():
    assert name_of(as_key("two\nlines")) == "'two\\nlines'"


def test_five_has_three_names_for_three_records():
    assert len({as_key(5), as_key("5"), as_key(UUID(int=5))}) == 3


@pytest.mark.parametrize(
    "name",
    [NAME, BYTES, bytearray(BYTES), memoryview(BYTES), STRIDED, str(NAME), str(NAME).upper()],
)
def test_names_of_one_uuid_are_one_key(name):
    assert as_key(name) == BYTES


@pytest.mark.parametrize("text", [NAME.hex, f"{{{NAME}}}", f"urn:uuid:{NAME}", str(NAME)[:-1]])
def test_text_that_is_no_canonical_uuid_is_text(text):
    assert id_of(as_key(text)) == text


@pytest.mark.parametrize("kind", ["i1", "u2", "i4", "u8"])
def test_numpy_integers_are_integers(kind):
    assert as_key(np.dtype(kind).type(7)) == as_key(np.array(7, kind)) == as_key(7)
    assert as_key(np.int64(-(2**63))) == as_key(-(2**63))
    assert as_key(np.uint64(2**64 - 1)) == as_key(2**64 - 1)


def test_numpy_text_is_text():
    assert as_key(np.array(["doc"])[0]) == as_key("doc")


WIDE = [memoryview(np.arange(16, dtype=kind)) for kind in ("u2", "i4", "f8")]


@pytest.mark.parametrize(
    "name",
    [
        *WIDE,
        memoryview(np.zeros((16, 3), np.uint8)),
        memoryview(np.arange(4, dtype="u4")),
        BYTES[:15],
        b"",
        "\ud800",
        "",
        "x" * 513,
        "ä" * 257,
        None,
        True,
        np.True_,
        5.0,
        np.float32(5),
        2**64,
        -(2**63) - 1,
        np.zeros(16, np.uint8),
    ],
    ids=lambda name: type(name).__name__,
)
def test_what_names_no_record_is_refused(name):
    with pytest.raises(InvalidInput, match="id: expected a UUID, its 16 bytes, text of 1 to 512"):
        as_key(name)


def test_a_refusal_survives_pickling_and_is_short():
    with pytest.raises(InvalidInput) as caught:
        as_key("x" * 10_000)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert "got 10000 bytes of text" in str(caught.value)


@pytest.mark.parametrize(
    "rows", [np.zeros((2, 0), "u1"), np.zeros((2, 17), "u1"), np.full((1, 3), 7, "u1")]
)
def test_rows_that_are_no_keys_are_refused(rows):
    with pytest.raises(Malformed, match="its keys"):
        from_rows(rows)


@pytest.mark.parametrize("prefix", [WIDE[0][:2], b"1" * 17, 3, None, "\ud800", "x" * 513])
def test_a_prefix_is_the_beginning_of_an_id(prefix):
    with pytest.raises(InvalidInput, match="prefix"):
        IdPrefix.of(prefix)


@given(st.lists(IDS, max_size=30, unique_by=as_key), IDS, st.integers(0, 40))
def test_a_prefix_finds_what_begins_so(some, one, length):
    prefix = str(one)[:length]
    wanted = IdPrefix.of(prefix)
    if wanted is None:
        assert prefix == ""
        return
    for each in [*some, one]:
        begins = not isinstance(each, int) and str(each).startswith(prefix)
        begins = begins or (isinstance(each, UUID) and str(each).startswith(prefix.lower()))
        key = as_key(each)
        assert wanted.matches(key) == begins, each
        assert not begins or any(map(key.startswith, wanted.starts()))
    assert wanted.starts() == sorted(wanted.starts())


def test_bytes_begin_uuids_alone():
    prefix = IdPrefix.of(b"\3doc")
    assert prefix.matches(b"\3doc" + bytes(12))
    assert not prefix.matches(as_key("doc"))
