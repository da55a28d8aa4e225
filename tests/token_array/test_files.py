"""Token files: mapped, whole, and nothing believed that they say."""

import json
import os

import numpy as np
import pytest
from looping import looped
from safetensors.numpy import load_file, save_file

from cgcython import (
    CodebookMissing,
    InvalidInput,
    PQ8Codebook,
    QuantizationError,
    StorageCorruption,
    TokenArray,
    UnsupportedVersion,
    max_sim_batch,
)
from cgcython.errors import FileUnavailable
from cgcython.tensors import read_tensors
from cgcython.token_array import PRECISIONS, files

F32 = np.float32
RNG = np.random.default_rng(5)
BOOK = PQ8Codebook(RNG.standard_normal((8, 256, 2)).astype(F32))


def tokens(precision="float32"):
    array = TokenArray(RNG.standard_normal((30, 16)).astype(F32), [0, 7, 7, 30])
    if precision == "sign":  # which `quantize` no longer makes
        return TokenArray(np.packbits(array.values >= 0, axis=1), array.offsets, precision)
    return array.quantize(precision, BOOK if precision == "pq" else None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tokens.safetensors"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_holds_what_was_saved(path, precision):
    array = tokens(precision)
    array.save(path)
    for verify in (False, True):
        loaded = TokenArray.load(path, array.codebook, verify=verify)
        assert loaded == array
        assert loaded.precision == precision


def test_a_selection_is_saved_alone(path):
    array = tokens("e4m3")
    array.take([2, 0]).save(path)
    assert TokenArray.load(path) == array.take([2, 0])
    assert load_file(path)["values"].shape == (30, 16)
    array[:1].save(path)
    assert load_file(path)["values"].shape == (7, 16)


def test_nothing_is_read_before_it_is_scored(path):
    array = tokens()
    array.save(path)
    loaded = TokenArray.load(path)
    assert isinstance(loaded.values.base, np.memmap)
    assert not loaded.values.flags.writeable
    assert max_sim_batch(array[0], loaded).tolist() == max_sim_batch(array[0], array).tolist()


def test_other_readers_find_the_names(path):
    tokens("e4m3").save(path)
    assert {name: one.dtype.name for name, one in load_file(path).items()} == {
        "values": "uint8",
        "offsets": "int64",
        "scales": "float32",
    }


def test_codes_need_their_codebook(path):
    tokens("pq").save(path)
    with pytest.raises(CodebookMissing, match=f"{BOOK.codebook_id:#010x}"):
        TokenArray.load(path)
    with pytest.raises(InvalidInput, match="expected a PQ8Codebook, got dict"):
        TokenArray.load(path, {})
    with pytest.raises(InvalidInput, match="codebook"):
        TokenArray.load(path, PQ8Codebook(np.zeros((8, 256, 2))))


def test_a_later_version_is_refused_clearly(path):
    tokens().save(path)
    arrays, texts = read_tensors(path)
    save_file(dict(arrays), path.with_name("later"), {**texts, "version": "2"})
    with pytest.raises(UnsupportedVersion, match="version 2"):
        TokenArray.load(path.with_name("later"))


@looped("at", range(0, 2400, 37))
def test_a_flipped_bit_is_found(path, at):
    array = tokens("e4m3")
    array.save(path)
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << at % 8
    path.write_bytes(data)
    with pytest.raises(QuantizationError):
        TokenArray.load(path, verify=True)


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_torn_file_is_refused(path, length):
    tokens().save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(StorageCorruption):
        TokenArray.load(path)


HOSTILE = {
    "no values": ({"values": None}, {}),
    "another array": ({"more": np.zeros(3)}, {}),
    "one-dimensional values": ({"values": np.zeros(480, np.uint8)}, {}),
    "values of another type": ({"values": np.zeros((30, 16), np.int64)}, {}),
    "signed values": ({"values": np.zeros((30, 16), np.int8)}, {}),
    "offsets beyond the values": ({"offsets": np.array([0, 31])}, {}),
    "offsets that descend": ({"offsets": np.array([0, 9, 3])}, {}),
    "offsets that are not whole": ({"offsets": np.zeros(2)}, {}),
    "unsigned offsets": ({"offsets": np.zeros(2, np.uint64)}, {}),
    "no offsets": ({"offsets": np.zeros(0, np.int64)}, {}),
    "offsets near the end of int64": ({"offsets": np.array([-(2**63), 2**63 - 1])}, {}),
    "too few scales": ({"scales": np.ones(29, F32)}, {}),
    "scales of float64": ({"scales": np.ones(30)}, {}),
    "another dimension": ({}, {"dim": 17}),
    "a dimension below zero": ({}, {"dim": -16}),
    "a dimension in words": ({}, {"dim": "16"}),
    "a dimension that is true": ({}, {"dim": True}),
    "another precision": ({}, {"precision": "bfloat16"}),
    "no precision": ({}, {"precision": None}),
    "a list for a precision": ({}, {"precision": ["e4m3"]}),
    "more facts": ({}, {"more": 1}),
}


@pytest.mark.parametrize(("arrays", "about"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(path, arrays, about):
    tokens("e4m3").save(path)
    found, texts = read_tensors(path)
    arrays = {name: one for name, one in {**found, **arrays}.items() if one is not None}
    about = {**json.loads(texts["about"]), **about}
    files.KIND.write(path.with_name("hostile"), arrays, {"about": json.dumps(about)})
    with pytest.raises(StorageCorruption, match="hostile"):
        TokenArray.load(path.with_name("hostile"))


@pytest.mark.parametrize("about", ["[1]", "[" * 50_000, "{}", "NaN"], ids=lambda text: text[:9])
def test_facts_that_are_no_object_are_refused(path, about):
    arrays = {"values": np.zeros((1, 2), F32), "offsets": np.array([0, 1])}
    files.KIND.write(path, arrays, {"about": about})
    with pytest.raises(StorageCorruption, match=path.name):
        TokenArray.load(path)


def test_codes_without_a_codebook_are_no_file_of_tokens(path):
    arrays = {"values": np.zeros((1, 8), np.uint8), "offsets": np.array([0, 1])}
    about = {"precision": "pq", "dim": 16, "codebook_id": None}
    files.KIND.write(path, arrays, {"about": json.dumps(about)})
    with pytest.raises(StorageCorruption, match="codebook"):
        TokenArray.load(path)


def test_a_mapped_file_that_was_cut_short_is_told(path):
    array = tokens("e4m3")
    array.save(path)
    loaded = TokenArray.load(path)
    os.truncate(path, path.stat().st_size - 1)
    for call in (
        loaded.compact,
        loaded.dequantize,
        lambda: max_sim_batch(np.ones((1, 16)), loaded),
    ):
        with pytest.raises(StorageCorruption, match="cut short"):
            call()


def test_a_file_that_is_not_there_is_named(path):
    with pytest.raises(FileUnavailable, match=path.name):
        TokenArray.load(path)


def test_equal_tokens_have_equal_bytes(path):
    for name in ("one", "two"):
        tokens_of(7).save(path.with_name(name))
    assert path.with_name("one").read_bytes() == path.with_name("two").read_bytes()


def tokens_of(seed):
    values = np.random.default_rng(seed).standard_normal((9, 4)).astype(F32)
    return TokenArray(values, [0, 4, 9]).quantize("int4")


def test_a_number_that_is_not_finite_is_never_matched(path):
    values = np.ones((3, 16), F32)
    values[1, 4] = np.nan
    TokenArray(values, [0, 3], finite=False).save(path)
    assert max_sim_batch(values[:1], TokenArray.load(path)).tolist() == [1.0]
    with pytest.raises(StorageCorruption, match="value 20 is nan"):
        TokenArray.load(path, verify=True)
