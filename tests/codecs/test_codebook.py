"""A codebook keeps its word: identity, files that prove themselves, tables that equal decoding."""

import json
import os
import pickle

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutated
from safetensors.numpy import save

from cgcython import kernels, tensors
from cgcython.codecs import codebook_file
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    NonFiniteValue,
    RecallLossExceeded,
    StorageCorruption,
    UnsupportedVersion,
)

RNG = np.random.default_rng(30)
CENTROIDS = RNG.standard_normal((8, 256, 5), dtype=np.float32)
MEAN = RNG.standard_normal(64, dtype=np.float32)
ROTATION = np.linalg.qr(RNG.standard_normal((64, 40)))[0].astype(np.float32)
PLAIN = PQ8Codebook(CENTROIDS, metadata={"model": "Semantic", "samples": 9984, "seed": 3})
ROTATED = PQ8Codebook(CENTROIDS, ROTATION, MEAN, {"held_out_loss": 0.04})
BOOKS = [PLAIN, ROTATED]


def rows_of(book, n=50):
    return RNG.standard_normal((n, book.embedding_dim), dtype=np.float32)


def cosines(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_a_codebook_tells_its_shape():
    assert (ROTATED.embedding_dim, ROTATED.width, ROTATED.num_subvectors) == (64, 40, 8)
    assert (PLAIN.embedding_dim, PLAIN.width, PLAIN.num_centroids) == (40, 40, 256)


def test_the_id_follows_the_contents_alone():
    again = PQ8Codebook(CENTROIDS.copy(), metadata={"model": "Code"})
    assert again == PLAIN
    assert again.codebook_id == PLAIN.codebook_id != 0
    assert len({PLAIN, again, ROTATED}) == 2
    assert PQ8Codebook(CENTROIDS + np.float32(1e-6)).codebook_id != PLAIN.codebook_id


@pytest.mark.parametrize("book", BOOKS)
def test_a_codebook_is_frozen_and_survives_pickling(book):
    with pytest.raises(AttributeError):
        book.centroids = None
    with pytest.raises(ValueError, match="read-only"):
        book.centroids[0] = 0
    copy = pickle.loads(pickle.dumps(book))
    assert copy == book
    assert copy.metadata == book.metadata


@pytest.mark.parametrize(
    "arrays",
    [
        (CENTROIDS[:, :255],),
        (CENTROIDS[0],),
        (CENTROIDS[:0],),
        (CENTROIDS[:, :, :0],),
        (CENTROIDS, ROTATION),
        (CENTROIDS, ROTATION[:, :39], MEAN),
        (CENTROIDS, ROTATION, MEAN[:63]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays):
    with pytest.raises(InvalidInput, match="codebook"):
        PQ8Codebook(*arrays)


def test_centroids_must_be_finite():
    with pytest.raises(NonFiniteValue):
        PQ8Codebook(np.where(np.arange(5) == 2, np.nan, CENTROIDS))


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.usefixtures("level")
def test_one_embedding_and_many_give_the_same_codes_and_values(book):
    rows = rows_of(book)
    codes = book.encode(rows)
    np.testing.assert_array_equal(codes, book.encode(rows, num_threads=3))
    assert [book.quantize(row) for row in rows] == [code.tobytes() for code in codes]
    decoded = book.decode(codes, num_threads=2)
    for code, row in zip(codes, decoded):
        np.testing.assert_array_equal(book.dequantize(code.tobytes()), row)


def test_any_array_of_numbers_is_welcome():
    row = np.round(rows_of(PLAIN)[0] * 8) / 8
    codes = PLAIN.quantize(row)
    for values in (
        row.astype(np.float16),
        row.astype(np.float64),
        list(row),
        np.repeat(row, 2)[::2],
    ):
        assert PLAIN.quantize(values) == codes


def test_results_land_in_the_arrays_given():
    rows, codes, back = (
        rows_of(ROTATED),
        np.empty((50, 8), np.uint8),
        np.empty((50, 64), np.float32),
    )
    assert ROTATED.encode(rows, out=codes) is codes
    assert ROTATED.decode(codes, out=back) is back
    with pytest.raises(InvalidInput, match="out"):
        ROTATED.decode(codes, out=back[:, ::2])


def test_wrong_inputs_are_named():
    with pytest.raises(DimensionMismatch, match="expected 40 values, got 41"):
        PLAIN.quantize(np.ones(41))
    with pytest.raises(DimensionMismatch):
        PLAIN.encode(np.ones((3, 41)))
    with pytest.raises(InvalidQuantizedData, match="expected 8 bytes, got 7"):
        PLAIN.dequantize(bytes(7))
    with pytest.raises(InvalidInput, match="codes"):
        PLAIN.decode(np.zeros((3, 8), np.int64))


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_value_that_is_not_finite_is_named(threads):
    rows = rows_of(PLAIN, 200)
    rows[150, 7] = rows[190, 2] = np.inf
    with pytest.raises(NonFiniteValue) as caught:
        PLAIN.encode(rows, num_threads=threads)
    assert caught.value.index == 150 * 40 + 7


@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.usefixtures("level")
def test_tables_give_the_cosine_with_decoded_embeddings(book):
    codes, found = RNG.integers(0, 256, (100, 8), np.uint8), np.empty(100, np.float32)
    query = rows_of(book)[0]
    kernels.adc.cosine(*book.search_tables(query), codes, found)
    np.testing.assert_allclose(found, cosines(query, book.decode(codes)), atol=2e-6)


def test_decoding_agrees_with_faiss():
    pq = faiss.ProductQuantizer(40, 8, 8)
    faiss.copy_array_to_vector(CENTROIDS.ravel(), pq.centroids)
    rows = rows_of(PLAIN)
    np.testing.assert_array_equal(PLAIN.encode(rows), pq.compute_codes(rows))


@pytest.mark.parametrize("book", BOOKS)
def test_a_file_gives_the_codebook_back(book, tmp_path):
    path = codebook_path(tmp_path, "Semantic")
    book.save(path)
    assert PQ8Codebook.load(path, book.embedding_dim) == book
    assert PQ8Codebook.load(path).metadata == book.metadata
    assert os.listdir(path.parent) == ["Semantic_codebook.safetensors"]


def test_arrays_in_any_order_are_kept_as_they_are(tmp_path):
    book = PQ8Codebook(np.asfortranarray(CENTROIDS), np.asfortranarray(ROTATION), MEAN)
    book.save(tmp_path / "book")
    np.testing.assert_array_equal(PQ8Codebook.load(tmp_path / "book").rotation, ROTATION)


def test_saving_refuses_a_loss_over_the_limit_unless_forced(tmp_path):
    book = PQ8Codebook(CENTROIDS, metadata={"held_out_loss": 0.22})
    with pytest.raises(RecallLossExceeded, match=r"22\.00%") as caught:
        book.save(tmp_path / "book")
    assert caught.value.max_loss == 0.05
    assert not os.listdir(tmp_path)
    book.save(tmp_path / "book", force=True)
    assert PQ8Codebook.load(tmp_path / "book") == book


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    PLAIN.save(tmp_path / "book")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ROTATED.save(tmp_path / "book")
    assert os.listdir(tmp_path) == ["book"]
    assert PQ8Codebook.load(tmp_path / "book") == PLAIN


def test_a_missing_file_names_its_path_and_the_command(tmp_path):
    path = codebook_path(tmp_path, "Causal")
    with pytest.raises(CodebookMissing, match="cgcython train E5") as caught:
        PQ8Codebook.load(path)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)


def test_a_codebook_for_another_dimension_is_refused(tmp_path):
    PLAIN.save(tmp_path / "book")
    with pytest.raises(DimensionMismatch, match="expected 768 values"):
        PQ8Codebook.load(tmp_path / "book", embedding_dim=768)


def with_header(**changes):
    good = ROTATED.to_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    text = json.dumps({**header, "__metadata__": {**header["__metadata__"], **changes}}).encode()
    return len(text).to_bytes(8, "little") + text + good[8 + length :]


def damaged():
    good = ROTATED.to_bytes()
    length = int.from_bytes(good[:8], "little")
    header = json.loads(good[8 : 8 + length])
    nan = {"centroids": np.full((8, 256, 5), np.nan, np.float32)}
    yield "empty", b""
    yield "truncated", good[:-1]
    yield "extended", good + b"\0"
    yield "header only", good[: 8 + length]
    yield "huge header", b"\xff" * 7 + b"\x7f" + good[8:]
    yield "another format", save({"centroids": CENTROIDS})
    yield "another id", with_header(id="7")
    yield "text for a number", with_header(id="seven")
    yield "another dim", with_header(dim="40")
    yield "no numbers", save(nan, {**header["__metadata__"]})
    yield "not a codebook", b"PK" * 100
    for at in (9, length // 2, 8 + length, len(good) // 2, len(good) - 1):
        yield f"bit flipped at {at}", good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in damaged()])
def test_damaged_files_are_refused(data, tmp_path):
    (tmp_path / "book").write_bytes(data)
    with pytest.raises(CodebookCorrupt, match="book"):
        PQ8Codebook.load(tmp_path / "book")


@pytest.mark.parametrize("version", ["2", ""])
def test_other_versions_are_refused_by_name(version, monkeypatch):
    monkeypatch.setattr(codebook_file, "VERSION", version)
    data = PLAIN.to_bytes()
    monkeypatch.undo()
    with pytest.raises(UnsupportedVersion, match=f"its version is '{version}', .* reads '1'"):
        PQ8Codebook.from_bytes(data)


@pytest.mark.parametrize("book", BOOKS)
def test_every_flipped_bit_of_the_header_is_told_or_changes_nothing(book):
    data = book.to_bytes()
    for bit in range(8 * (8 + int.from_bytes(data[:8], "little"))):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = PQ8Codebook.from_bytes(flipped)
        except StorageCorruption:
            continue
        assert (found, found.metadata) == (book, book.metadata)


@given(st.data())
def test_mutated_files_are_told_or_read_as_they_were(data):
    good = data.draw(st.sampled_from(BOOKS)).to_bytes()
    found = mutated(data, good)
    try:
        book = PQ8Codebook.from_bytes(found)
    except StorageCorruption:
        return
    whole = PQ8Codebook.from_bytes(good)
    assert (book, book.metadata) == (whole, whole.metadata)


LIES = {
    "an id in words": {"id": '"seven"'},
    "a dimension that is true": {"dim": "true"},
    "a cost in words": {"held_out_loss": '"little"'},
    "a cost that is none": {"recall10_drop": "null"},
    "deep JSON": {"x": "[" * 100_000},
    "NaN": {"x": "NaN"},
}


@pytest.mark.parametrize("facts", LIES.values(), ids=LIES)
def test_files_with_sound_checksums_and_odd_facts_are_refused(facts):
    arrays, texts = tensors.from_bytes(PLAIN.to_bytes())
    facts = {
        key: v if isinstance(v, str) and key == "x" else json.dumps(v) for key, v in facts.items()
    }
    with pytest.raises(CodebookCorrupt):
        PQ8Codebook.from_bytes(tensors.to_bytes(arrays, {**texts, **facts}))


SHAPES = {
    "float64": {"centroids": CENTROIDS.astype(np.float64)},
    "255 centroids": {"centroids": CENTROIDS[:, :255]},
    "no subvectors": {"centroids": CENTROIDS[:0]},
    "empty subvectors": {"centroids": CENTROIDS[:, :, :0]},
    "an infinity": {"centroids": np.where(CENTROIDS > 1, np.inf, CENTROIDS)},
    "a mean alone": {"centroids": CENTROIDS, "mean": MEAN},
    "a rotation alone": {"centroids": CENTROIDS, "rotation": ROTATION},
    "a shorter mean": {"centroids": CENTROIDS, "rotation": ROTATION, "mean": MEAN[:63]},
    "a narrower rotation": {"centroids": CENTROIDS, "rotation": ROTATION[:, :39], "mean": MEAN},
    "another array": {"centroids": CENTROIDS, "more": MEAN},
}


@pytest.mark.parametrize("arrays", SHAPES.values(), ids=SHAPES)
def test_files_with_sound_checksums_and_odd_arrays_are_refused(arrays):
    texts = tensors.from_bytes(PLAIN.to_bytes()).texts
    found = codebook_file.contents_hash(arrays)
    dim = 64 if "mean" in arrays else arrays["centroids"][:, 0].size
    texts = {**texts, "sha256": found, "id": str(int(found[:8], 16)), "dim": str(dim)}
    with pytest.raises(CodebookCorrupt):
        PQ8Codebook.from_bytes(tensors.to_bytes(arrays, texts))


def test_a_file_of_an_earlier_release_is_read():
    texts = tensors.from_bytes(PLAIN.to_bytes()).texts
    found = PQ8Codebook.from_bytes(save({"centroids": CENTROIDS}, texts))
    assert (found, found.metadata) == (PLAIN, PLAIN.metadata)


def test_equal_codebooks_have_equal_bytes():
    backwards = dict(reversed(PLAIN.metadata.items()))
    assert PQ8Codebook(CENTROIDS, metadata=backwards).to_bytes() == PLAIN.to_bytes()


@pytest.mark.parametrize(
    "facts", [{"x": float("nan")}, {"x": object()}, {"model": 7}, {"held_out_loss": "7"}]
)
def test_metadata_that_no_file_could_hold_are_refused(facts):
    with pytest.raises(InvalidInput, match="codebook metadata"):
        PQ8Codebook(CENTROIDS, metadata=facts).to_bytes()


def test_what_is_no_file_of_a_codebooks_size_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "huge"):
        with pytest.raises(CodebookCorrupt, match=path.name):
            PQ8Codebook.load(path)


def test_masked_codes_are_no_codes():
    book = PQ8Codebook(np.arange(8.0 * 256).reshape(8, 256, 1))
    with pytest.raises(InvalidInput, match=r"codes: .*value 1 masked"):
        book.decode(np.ma.masked_array(np.zeros((1, 8), np.uint8), [[0, 1, 0, 0, 0, 0, 0, 0]]))


@pytest.mark.parametrize("data", [1 << 40, [1, 2], "text", None])
def test_what_has_no_bytes_is_no_codebook(data):
    with pytest.raises(CodebookCorrupt):
        PQ8Codebook.from_bytes(data)
