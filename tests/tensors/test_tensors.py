"""One writer and one reader: equal content gives equal bytes, and nothing is believed unchecked."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from mutations import mutated
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save

from cgcython import InvalidInput, StorageCorruption
from cgcython.tensors import (
    Malformed,
    from_bytes,
    read_tensors,
    reading,
    require_whole,
    to_bytes,
    write_tensors,
)
from cgcython.tensors.header import DTYPES, SEAL

RNG = np.random.default_rng(0)
ARRAYS = {
    "codes": RNG.integers(0, 256, (5, 3), np.uint8),
    "ids": np.arange(5),
    "none": np.empty((0, 7), np.float32),
    "scales": RNG.standard_normal(5).astype(np.float32),
}
TEXTS = {"format": "of a test", "about": '{"ünï": "\\u2603"}'}
GOOD = to_bytes(ARRAYS, TEXTS)
LENGTH = int.from_bytes(GOOD[:8], "little")
KINDS = st.sampled_from([np.dtype(one) for one in DTYPES.values()])
SHAPES = arrays_of.array_shapes(min_dims=0, min_side=0, max_side=4)
CONTENTS = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(
        lambda name: name != "__metadata__"
    ),
    KINDS.flatmap(lambda kind: arrays_of.arrays(kind, SHAPES)),
    max_size=4,
)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def with_header(change, data=GOOD):
    """Return the bytes of a file whose header a function changed in place."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


@given(CONTENTS)
def test_what_was_written_is_read_by_us_and_by_others(arrays):
    data = to_bytes(arrays)
    assert_same(from_bytes(data).arrays, arrays)
    assert_same(load(data), arrays)


@given(CONTENTS)
def test_what_others_wrote_is_read(arrays):
    assert_same(from_bytes(save(arrays)).arrays, arrays)


def test_a_file_is_mapped_read_only_and_aligned(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS, TEXTS)
    found = read_tensors(tmp_path / "a")
    assert_same(found.arrays, ARRAYS)
    assert found.texts == TEXTS
    assert isinstance(found.arrays["ids"], np.memmap)
    assert not found.arrays["ids"].flags.writeable
    assert all(one.flags.aligned for one in found.arrays.values())
    assert_same(load_file(tmp_path / "a"), ARRAYS)


def test_equal_content_gives_equal_bytes():
    backwards = dict(reversed(ARRAYS.items())), dict(reversed(TEXTS.items()))
    assert to_bytes(*backwards) == GOOD
    strange = {
        name: np.asfortranarray(one.astype(one.dtype.newbyteorder(">")))
        for name, one in ARRAYS.items()
    }
    assert to_bytes(strange, TEXTS) == GOOD


def test_a_file_without_arrays_or_texts_is_one(tmp_path):
    for texts in ({}, TEXTS):
        write_tensors(tmp_path / "a", {}, texts)
        assert read_tensors(tmp_path / "a") == ({}, texts)
        assert from_bytes(to_bytes({}, texts)) == ({}, texts)


@pytest.mark.parametrize("kind", [complex, "U1", object, "M8[s]", np.longdouble])
def test_only_numbers_are_written(kind):
    with pytest.raises(InvalidInput, match="array a"):
        to_bytes({"a": np.zeros(2, kind)})


def test_only_unicode_is_written():
    with pytest.raises(InvalidInput, match="Unicode"):
        to_bytes({}, {"model": "\ud800"})
    with pytest.raises(InvalidInput, match="Unicode"):
        to_bytes({"\ud800": np.zeros(1)})


def test_a_changed_text_name_shape_or_dtype_breaks_the_seal():
    changes = [
        lambda h: h["__metadata__"].__setitem__("format", "of another test"),
        lambda h: h["__metadata__"].__setitem__("more", "1"),
        lambda h: h["__metadata__"].pop("format"),
        lambda h: h.__setitem__("code", h.pop("codes")),
        lambda h: h["codes"].__setitem__("shape", [3, 5]),
        lambda h: h["scales"].__setitem__("dtype", "I32"),
        lambda h: h["__metadata__"].__setitem__(SEAL, '"crc32:00000000"'),
        lambda h: h["__metadata__"].__setitem__("seal", h["__metadata__"].pop(SEAL)),
        lambda h: h["__metadata__"].__setitem__("seal", f" {h['__metadata__'].pop(SEAL)} "),
        lambda h: h["__metadata__"].__setitem__(SEAL[1:], h["__metadata__"].pop(SEAL)[6:]),
    ]
    for change in changes:
        with pytest.raises(Malformed, match="checksum of its header"):
            from_bytes(with_header(change))


def test_another_order_or_spelling_of_the_same_header_keeps_the_seal():
    moved = with_header(lambda h: h.__setitem__("codes", h.pop("codes")))
    texts = json.loads(GOOD[8 : 8 + LENGTH])["__metadata__"]
    for data in (moved, save(ARRAYS, texts)):
        assert from_bytes(data).texts == TEXTS
        assert_same(from_bytes(data).arrays, ARRAYS)


def test_every_flipped_bit_of_the_header_is_told_or_changes_nothing():
    for bit in range(8 * (8 + LENGTH)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        try:
            found = from_bytes(data)
        except Malformed:
            continue
        assert found.texts == TEXTS
        assert_same(found.arrays, ARRAYS)


WRONG = {
    "negative shape": lambda h: h["codes"].__setitem__("shape", [-5, -3]),
    "overflowing shape": lambda h: h["codes"].__setitem__("shape", [2**63, 2]),
    "overflow beside a zero": lambda h: h["none"].__setitem__("shape", [0, 2**62, 2**62]),
    "a shape that is true": lambda h: h["codes"].__setitem__("shape", [True, 15]),
    "a shape of halves": lambda h: h["codes"].__setitem__("shape", [7.5, 2]),
    "too many axes": lambda h: h["codes"].__setitem__("shape", [15, *[1] * 32]),
    "a shape in words": lambda h: h["codes"].__setitem__("shape", "5, 3"),
    "another dtype": lambda h: h["codes"].__setitem__("dtype", "BF16"),
    "no dtype": lambda h: h["codes"].pop("dtype"),
    "a list for a dtype": lambda h: h["codes"].__setitem__("dtype", ["U8"]),
    "a key too many": lambda h: h["codes"].__setitem__("more", 1),
    "bytes twice": lambda h: h["codes"].__setitem__("data_offsets", [0, 15]),
    "bytes left out": lambda h: h.pop("codes"),
    "bytes before the beginning": lambda h: h["codes"].__setitem__("data_offsets", [-15, 0]),
    "bytes behind the end": lambda h: h["codes"].__setitem__("data_offsets", [60, 2**64 + 15]),
    "an end before the beginning": lambda h: h["codes"].__setitem__("data_offsets", [75, 60]),
    "one offset": lambda h: h["codes"].__setitem__("data_offsets", [60]),
    "an array that is none": lambda h: h.__setitem__("codes", None),
    "a text that is none": lambda h: h["__metadata__"].__setitem__("format", 7),
    "texts that are none": lambda h: h.__setitem__("__metadata__", []),
    "a lone surrogate": lambda h: h["__metadata__"].__setitem__("format", "\ud800"),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("sealed", [True, False])
def test_headers_that_contradict_themselves_are_malformed(change, sealed):
    def both(header):
        change(header)
        if not sealed and isinstance(header["__metadata__"], dict):
            header["__metadata__"].pop(SEAL)

    with pytest.raises(Malformed):
        from_bytes(with_header(both))


RAW = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "no header": bytes(8),
    "a list": b"\2" + bytes(7) + b"[]",
    "a huge header": b"\xff" * 8 + b"{}",
    "a header beyond the end": b"\3" + bytes(7) + b"{}",
    "bytes left over": b"\2" + bytes(7) + b"{}x",
    "deep JSON": (50_000).to_bytes(8, "little") + b"[" * 50_000,
    "no UTF-8": b"\2" + bytes(7) + b"\xff\xff",
    "NaN": (9).to_bytes(8, "little") + b'{"a":NaN}',
    "a name twice": (13).to_bytes(8, "little") + b'{"a":1,"a":1}',
    "a space before": b"\3" + bytes(7) + b" {}",
}


@pytest.mark.parametrize("data", RAW.values(), ids=RAW)
def test_what_is_no_file_is_malformed(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(Malformed):
        from_bytes(data)
    with pytest.raises(Malformed):
        read_tensors(tmp_path / "a")


@given(st.data())
def test_mutated_files_are_malformed_or_read_as_others_read_them(data):
    """Whatever we take, the library that defines the format takes too, and sees the same in it."""
    content = mutated(data, GOOD)
    try:
        found = from_bytes(content)
    except Malformed:
        return
    assert_same(found.arrays, load(content))


@given(st.binary(max_size=60), st.integers(0, 70))
def test_any_bytes_are_malformed_or_read(text, length):
    data = length.to_bytes(8, "little") + text
    try:
        found = from_bytes(data)
    except Malformed:
        return
    assert_same(found.arrays, load(data))


def test_what_is_no_regular_file_is_refused(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        read_tensors(tmp_path / "missing")
    with pytest.raises(OSError, match="directory"):
        read_tensors(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Malformed, match="no regular file"):
        read_tensors(tmp_path / "pipe")


def test_a_file_that_is_replaced_while_it_is_opened_is_read_as_it_was(tmp_path, monkeypatch):
    write_tensors(tmp_path / "a", ARRAYS, TEXTS)
    whole = reading.parse

    def parse(*arguments):
        write_tensors(tmp_path / "a", {"x": np.zeros(999)})
        return whole(*arguments)

    monkeypatch.setattr(reading, "parse", parse)
    assert_same(read_tensors(tmp_path / "a").arrays, ARRAYS)


def test_a_mapped_file_that_was_cut_short_is_told_before_it_is_read(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS, TEXTS)
    found = read_tensors(tmp_path / "a").arrays
    part = np.asarray(found["codes"])[1:, ::2]
    require_whole(part)
    os.truncate(tmp_path / "a", 100)
    with pytest.raises(StorageCorruption, match=r"a is damaged: .* cut short to 100 of \d+ bytes"):
        require_whole(part)
    require_whole(ARRAYS["codes"])


def test_a_map_of_part_of_a_file_is_whole_while_the_file_reaches_so_far(tmp_path):
    (tmp_path / "a").write_bytes(bytes(20_000))
    part = np.memmap(tmp_path / "a", np.uint8, "r", offset=9_000, shape=(1_000,))
    os.truncate(tmp_path / "a", 10_000)
    require_whole(part)
    os.truncate(tmp_path / "a", 9_999)
    with pytest.raises(StorageCorruption, match="cut short"):
        require_whole(part)


def test_the_golden_files_of_the_library_agree():
    for path in (Path(__file__).parents[1] / "golden").rglob("*.safetensors"):
        assert_same(read_tensors(path).arrays, load_file(path))
        with pytest.raises(SafetensorError):
            load(path.read_bytes()[:-1])
