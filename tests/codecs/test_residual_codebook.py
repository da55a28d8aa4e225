"""A residual codebook keeps its word: identity, its file, tables that equal decoding."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated

from cgcython import tensors
from cgcython.codecs import codebook_file
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    NonFiniteValue,
    RecallLossExceeded,
    StorageCorruption,
)

RNG = np.random.default_rng(31)
STAGES = np.geomspace(2, 0.3, 8)[:, None, None]
CENTROIDS = (RNG.standard_normal((8, 256, 40)) * STAGES).astype(np.float32)
MEAN = RNG.standard_normal(64, dtype=np.float32)
ROTATION = np.linalg.qr(RNG.standard_normal((64, 40)))[0].astype(np.float32)
BOOK = RQ8Codebook(CENTROIDS, ROTATION, MEAN, {"held_out_loss": 0.04, "model": "Semantic"})
SMALL_ARRAYS = {
    "centroids": CENTROIDS[:2, :, :3].copy(),
    "rotation": ROTATION[:2, :3].copy(),
    "mean": MEAN[:2].copy(),
}
SMALL = RQ8Codebook(**SMALL_ARRAYS, metadata={"model": "Semantic", "seed": 3})
BYTES = SMALL.to_bytes()
ROWS = RNG.standard_normal((20, 64), dtype=np.float32)


def test_a_codebook_tells_its_shape():
    assert (BOOK.embedding_dim, BOOK.width, BOOK.code_size) == (64, 40, 8)


def test_a_codebook_survives_pickling_and_its_file(tmp_path):
    BOOK.save(tmp_path / "book")
    for copy in (pickle.loads(pickle.dumps(BOOK)), RQ8Codebook.load(tmp_path / "book", 64)):
        assert (copy, copy.metadata) == (BOOK, BOOK.metadata)


def test_a_file_of_one_kind_is_none_of_the_other():
    with pytest.raises(CodebookCorrupt, match="its format is 'cgcython-rq8', not 'cgcython-pq8'"):
        PQ8Codebook.from_bytes(BOOK.to_bytes())


def test_facts_cannot_say_what_a_file_is(tmp_path):
    named = SMALL.with_facts({"format": "cgcython-pq8", "version": "9", "sha256": "0"})
    named.save(tmp_path / "book", force=True)
    assert RQ8Codebook.load(tmp_path / "book") == SMALL


def test_a_missing_file_is_told_with_the_command_that_trains_one_of_its_kind(tmp_path):
    path = codebook_file.codebook_path(tmp_path, "Semantic")
    with pytest.raises(CodebookMissing, match=r"train E1 .* --method rq8$"):
        RQ8Codebook.load(path)
    for kind in (PQ8Codebook, Codebook):
        with pytest.raises(CodebookMissing, match=rf"train E1 .* --models {tmp_path}$"):
            kind.load(path)


def test_one_embedding_and_many_give_the_same_codes_and_values():
    codes = BOOK.encode(ROWS, num_threads=2)
    assert [BOOK.quantize(row) for row in ROWS] == [code.tobytes() for code in codes]
    decoded = BOOK.decode(codes)
    expected = MEAN + CENTROIDS[np.arange(8), codes].sum(axis=1) @ ROTATION.T
    np.testing.assert_allclose(decoded, expected, atol=1e-5)
    np.testing.assert_array_equal([BOOK.dequantize(code.tobytes()) for code in codes], decoded)


def test_tables_and_norms_are_those_of_decoded_embeddings():
    codes = RNG.integers(0, 256, (300, 8), np.uint8)
    decoded = BOOK.decode(codes).astype(np.float64)
    tables, offset = BOOK.dot_tables(ROWS[0])
    found = offset + tables[np.arange(8), codes].sum(axis=1)
    np.testing.assert_allclose(found, decoded @ ROWS[0], atol=2e-5)
    np.testing.assert_allclose(BOOK.norms(codes), np.linalg.norm(decoded, axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    "arrays",
    [
        (CENTROIDS[:, :255], ROTATION, MEAN),
        (CENTROIDS[0], ROTATION, MEAN),
        (CENTROIDS[:0], ROTATION, MEAN),
        (CENTROIDS, ROTATION[:, :39], MEAN),
        (CENTROIDS, ROTATION, MEAN[:63]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays):
    with pytest.raises(InvalidInput, match="codebook"):
        RQ8Codebook(*arrays)


def test_wrong_inputs_are_named():
    with pytest.raises(InvalidQuantizedData, match="expected 8 bytes, got 7"):
        BOOK.dequantize(bytes(7))
    with pytest.raises(InvalidInput, match="codes"):
        BOOK.decode(np.zeros((3, 8), np.int64))


def test_saving_refuses_a_loss_over_the_limit_unless_forced(tmp_path):
    book = BOOK.with_facts({"held_out_loss": 0.22})
    with pytest.raises(RecallLossExceeded, match=r"22\.00%"):
        book.save(tmp_path / "book")
    book.save(tmp_path / "book", force=True)
    assert RQ8Codebook.load(tmp_path / "book") == book


def test_rows_that_do_not_fit_are_named():
    rows = np.array(ROWS)
    rows[7, 3] = np.nan
    with pytest.raises(NonFiniteValue) as caught:
        BOOK.encode(rows, num_threads=2)
    assert caught.value.index == 7 * 64 + 3
    with pytest.raises(DimensionMismatch, match="expected 64 values, got 65"):
        BOOK.quantize(np.ones(65))
    with pytest.raises(NonFiniteValue):
        RQ8Codebook(CENTROIDS, ROTATION, np.where(np.arange(64) == 2, np.inf, MEAN))


@given(st.data())
def test_mutated_files_are_told_or_read_as_they_were(data):
    found = mutated(data, BYTES)
    try:
        book = RQ8Codebook.from_bytes(found)
    except StorageCorruption:
        return
    assert (book, book.metadata) == (SMALL, SMALL.metadata)


SHAPES = {
    "255 centroids": {"centroids": SMALL_ARRAYS["centroids"][:, :255]},
    "no stages": {"centroids": SMALL_ARRAYS["centroids"][:0]},
    "an infinity": {"mean": np.array([np.inf, 0], np.float32)},
    "a shorter mean": {"mean": np.zeros(1, np.float32)},
    "a narrower rotation": {"rotation": np.zeros((2, 2), np.float32)},
    "another array": {"more": np.zeros(2, np.float32)},
}


@pytest.mark.parametrize("change", SHAPES.values(), ids=SHAPES)
def test_files_with_sound_checksums_and_odd_arrays_are_refused(change):
    arrays = {**SMALL_ARRAYS, **change}
    found = codebook_file.contents_hash(arrays)
    texts = tensors.from_bytes(BYTES).texts
    texts = {**texts, "sha256": found, "id": str(int(found[:8], 16))}
    with pytest.raises(CodebookCorrupt):
        RQ8Codebook.from_bytes(tensors.to_bytes(arrays, texts))


def test_a_file_without_its_mean_is_refused():
    arrays = {name: one for name, one in SMALL_ARRAYS.items() if name != "mean"}
    texts = {**tensors.from_bytes(BYTES).texts, "sha256": codebook_file.contents_hash(arrays)}
    with pytest.raises(CodebookCorrupt, match="no array mean"):
        RQ8Codebook.from_bytes(tensors.to_bytes(arrays, texts))
