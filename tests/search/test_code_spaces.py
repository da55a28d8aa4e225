"""An index of any dense codec finds what the decoded vectors say, by each of its metrics."""

import pickle
from functools import cache
from uuid import UUID

import faiss
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from cgcython import (
    BinaryCodec,
    CodebookMissing,
    CodeIndex,
    Float8Codec,
    PQ8Codebook,
    PQ8Codec,
    RQ8Codebook,
    RQ8Codec,
    ScalarCodec,
)
from cgcython.errors import InvalidInput, MethodMismatch, StorageCorruption, UnsupportedVersion
from cgcython.search import code_file

DIM, K = 36, 10
RNG = np.random.default_rng(5)
ROWS = RNG.standard_normal((700, DIM)).astype(np.float32)
QUERIES = RNG.standard_normal((4, DIM)).astype(np.float32)
IDS = RNG.permutation(700) * 5 - 900
BOOK = PQ8Codebook(RNG.standard_normal((4, 256, 9)))
STAGES = RNG.standard_normal((5, 256, 20)) * np.geomspace(2, 0.2, 5)[:, None, None]
RESIDUAL = RQ8Codebook(STAGES, np.linalg.qr(RNG.standard_normal((DIM, 20)))[0], ROWS.mean(axis=0))
RQ = RQ8Codec(RESIDUAL)
SCALAR = ScalarCodec(DIM, 6)
FLOAT8, BITS, PQ = Float8Codec(DIM), BinaryCodec(DIM, 0.1), PQ8Codec(BOOK)
KINDS = [
    (FLOAT8, "l2"),
    (FLOAT8, "cosine"),
    (BITS, "hamming"),
    (BITS, "jaccard"),
    (PQ, "l2"),
    (PQ, "cosine"),
    (RQ, "l2"),
    (RQ, "cosine"),
    (SCALAR, "l2"),
    (SCALAR, "cosine"),
]
every_kind = pytest.mark.parametrize(("codec", "metric"), KINDS)


@cache
def encoded(codec):
    """Return the codes of all rows, which are equal on every level."""
    return codec.encode_batch(ROWS)


def filled(codec, metric, ids=IDS):
    return CodeIndex(codec, encoded(codec), ids, metric)


def expected(codec, metric):
    """Return all distances [queries, rows] by scipy."""
    stored = codec.decode_batch(encoded(codec))
    if codec is BITS:
        name = {"hamming": "hamming", "jaccard": "jaccard"}[metric]
        distances = cdist(np.float32(0.1) <= QUERIES, stored > 0, name)
        return distances * (DIM if metric == "hamming" else 1)
    return cdist(QUERIES, stored, {"l2": "sqeuclidean", "cosine": "cosine"}[metric])


@every_kind
def test_distances_are_those_of_scipy(codec, metric, level):
    index = filled(codec, metric)
    for query, wanted in zip(QUERIES, expected(codec, metric)):
        np.testing.assert_allclose(index.distances(query), wanted, rtol=1e-5, atol=1e-6)


@every_kind
@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("k", [1, K, 690, 2000])
def test_the_nearest_are_exact_and_in_order(codec, metric, num_threads, k):
    index = filled(codec, metric)
    ids, distances = index.search(QUERIES, k, num_threads=num_threads)
    every = np.stack([index.distances(query) for query in QUERIES])
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(distances, np.take_along_axis(every, order, 1))
    np.testing.assert_array_equal(ids, IDS[order])


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_the_longest_codes_are_searched_as_decoded(metric, level):
    codec = PQ8Codec(PQ8Codebook(RNG.standard_normal((192, 256, 2))))
    rows, queries = RNG.standard_normal((2, 130, 384)).astype(np.float32)
    batch = codec.encode_batch(rows)
    ids, distances = CodeIndex(codec, batch, metric=metric).search(queries[:3], K)
    name = {"l2": "sqeuclidean", "cosine": "cosine"}[metric]
    every = cdist(queries[:3], codec.decode_batch(batch), name)
    np.testing.assert_array_equal(ids, np.argsort(every, axis=1)[:, :K])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :K], rtol=1e-4)


@every_kind
def test_a_filter_leaves_only_its_ids(codec, metric):
    index = filled(codec, metric)
    ids, distances = index.search(QUERIES[0], K, among=IDS[100:150])
    every = index.distances(QUERIES[0], range(100, 150))
    order = np.argsort(every, kind="stable")[:K]
    assert ids.tolist() == IDS[100:150][order].tolist()
    np.testing.assert_array_equal(distances, every[order])


@every_kind
def test_a_file_gives_the_index_back(codec, metric, tmp_path):
    index = filled(codec, metric)
    index.save(tmp_path / "a")
    for verify in (False, True):
        loaded = CodeIndex.load(tmp_path / "a", codec, verify=verify)
        assert (loaded.metric, len(loaded)) == (metric, 700)
        np.testing.assert_array_equal(loaded.search(QUERIES, K), index.search(QUERIES, K))
        assert not any(one.flags.owndata for one in loaded.arrays.values())


@every_kind
def test_what_is_removed_is_found_no_more(codec, metric):
    index, rows = filled(codec, metric), filled(codec, metric, ids=None)
    gone = IDS[:650:2]
    assert index.remove([*gone, 10**9]) == rows.remove(range(0, 650, 2)) == len(gone)
    kept = np.delete(np.arange(700), range(0, 650, 2))
    alone = CodeIndex(codec, codec.encode_batch(ROWS[kept]), IDS[kept], metric)
    np.testing.assert_array_equal(index.search(QUERIES, 30), alone.search(QUERIES, 30))
    ids, _ = rows.search(QUERIES, 30)
    np.testing.assert_array_equal(IDS[kept][ids], alone.search(QUERIES, 30)[0])
    assert index.remove(IDS) == len(kept)
    assert len(index) == len(index.search(QUERIES[0])[0]) == 0


@every_kind
def test_rows_come_back_as_a_batch(codec, metric):
    rows = [3, 699, 64, 0]
    batch = filled(codec, metric).batch(rows)
    assert codec.rows(batch) == [codec.encode(ROWS[row]) for row in rows]


@every_kind
def test_stored_rows_are_searched_for_by_id(codec, metric):
    index = filled(codec, metric)
    ids, distances = index.search_ids(IDS[[9, 4]], 3)
    decoded = codec.decode_batch(index.batch([9, 4]))
    np.testing.assert_array_equal((ids, distances), index.search(decoded, 3))
    rounding = 2e-5 if codec is RQ else 1e-6  # of |q|^2 - 2qd + |d|^2, each about 70
    assert distances[:, 0] == pytest.approx(0, abs=rounding)
    assert filled(codec, metric, None).search_ids([9, 4], 1)[1].shape == (2, 1)
    with pytest.raises(InvalidInput, match="ids of the index, got 1"):
        index.search_ids([int(IDS[0]), 1])


@every_kind
def test_embeddings_are_encoded_and_added(codec, metric):
    index = CodeIndex(codec, metric=metric)
    for start in (0, 63, 64, 300):
        stop = {0: 63, 63: 64, 64: 300, 300: 700}[start]
        index.add_embeddings(ROWS[start:stop], IDS[start:stop])
    again = pickle.loads(pickle.dumps(index))
    np.testing.assert_array_equal(again.search(QUERIES), filled(codec, metric).search(QUERIES))


def test_faiss_finds_the_same_bits():
    theirs = faiss.IndexBinaryFlat(40)
    theirs.add(BITS.encode_batch(ROWS).columns["codes"])
    distances, _ = theirs.search(BITS.encode_batch(QUERIES).columns["codes"], K)
    np.testing.assert_array_equal(filled(BITS, None).search(QUERIES, K)[1], distances)


@pytest.mark.parametrize("power", [-130, 0, 125])
def test_float8_distances_hold_at_every_scale(power):
    index = CodeIndex(FLOAT8, FLOAT8.encode_batch(np.ldexp(ROWS, power - 2)))
    queries = np.ldexp(QUERIES, power - 2)
    with np.errstate(all="raise"):
        ids, _ = index.search(queries, K)
    assert np.mean(ids == filled(FLOAT8, "l2", None).search(QUERIES, K)[0]) > 0.9


def test_near_float8_rows_keep_their_digits():
    rows = ROWS[:50] / 1000 + 3
    index = CodeIndex(FLOAT8, FLOAT8.encode_batch(rows))
    stored = FLOAT8.decode_batch(FLOAT8.encode_batch(rows))
    wanted = cdist(stored[:1], stored, "sqeuclidean")[0]
    np.testing.assert_allclose(index.search(stored[0], 50)[1], np.sort(wanted), rtol=1e-6)


def test_symmetric_distances_are_those_of_the_decoded_query():
    index = filled(FLOAT8, "l2")
    decoded = FLOAT8.decode(FLOAT8.encode(QUERIES[0]))
    found = index.distances(QUERIES[0], symmetric=True)
    np.testing.assert_array_equal(found, index.distances(decoded))


def test_bits_are_refined_by_float8():
    finer = filled(FLOAT8, "cosine")
    ids, distances = filled(BITS, None).search(QUERIES[0], K, finer=finer, oversample=70)
    np.testing.assert_array_equal((ids, distances), finer.search(QUERIES[0], K))


def test_files_say_the_codec_that_needs_no_codebook(tmp_path):
    filled(BITS, "jaccard").save(tmp_path / "bits")
    loaded = CodeIndex.load(tmp_path / "bits")
    assert (loaded.codec, loaded.metric) == (BITS, "jaccard")
    filled(PQ, "cosine").save(tmp_path / "pq")
    with pytest.raises(CodebookMissing, match=f"{BOOK.codebook_id:#010x}"):
        CodeIndex.load(tmp_path / "pq")


def test_another_codec_does_not_read_the_codes(tmp_path):
    filled(BITS, None).save(tmp_path / "bits")
    with pytest.raises(InvalidInput, match=r"36 values \{'threshold': 0.1"):
        CodeIndex.load(tmp_path / "bits", BinaryCodec(DIM))
    with pytest.raises(InvalidInput, match="the codec of its binary codes, got float8_e4m3"):
        CodeIndex.load(tmp_path / "bits", FLOAT8)


def test_squared_distances_of_pq_keep_the_first_version(tmp_path):
    filled(PQ, "l2").save(tmp_path / "pq")
    assert code_file.KIND.read(tmp_path / "pq").arrays.keys() == {"blocks", "ids"}
    filled(PQ, "cosine").save(tmp_path / "pq")
    with pytest.raises(UnsupportedVersion, match="version 2"):
        code_file.KIND.read(tmp_path / "pq")


@pytest.mark.parametrize(
    ("name", "value"),
    [("metric", "l2"), ("method", "sparse_native"), ("dimension", 37), ("shared", {"a": 1})],
)
def test_files_that_contradict_themselves_are_told(tmp_path, name, value):
    path = tmp_path / "bits"
    index = filled(BITS, None)
    about = code_file.About(700, BITS.method, "hamming", {"threshold": 0.1}, DIM)
    value = BITS.method.__class__(value) if name == "method" else value
    code_file.save(path, {**index.arrays, "ids": index.ids}, about._replace(**{name: value}))
    if name == "dimension":
        assert len(CodeIndex.load(path)) == 700  # 36 and 37 values take as many bytes
    else:
        with pytest.raises(StorageCorruption):
            CodeIndex.load(path)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: CodeIndex(FLOAT8, np.zeros((2, DIM), np.uint8)), InvalidInput, "encode_batch"),
        (lambda: CodeIndex(BITS, np.zeros((2, 4), np.uint8)), InvalidInput, r"u8 \[n, 5\]"),
        (lambda: CodeIndex(BITS, np.full((2, 5), 255, np.uint8)), InvalidInput, "padding bits"),
        (lambda: CodeIndex(BITS, FLOAT8.encode_batch(ROWS)), MethodMismatch, "binary"),
        (lambda: CodeIndex(BITS, metric="l2"), InvalidInput, "hamming or jaccard, got l2"),
        (lambda: CodeIndex(BITS, BinaryCodec(DIM).encode_batch(ROWS)), InvalidInput, "threshold"),
        (lambda: CodeIndex("bits"), InvalidInput, "Float8Codec or BinaryCodec, got str"),
    ],
)
def test_codes_of_another_kind_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


TEXTS = [*(f"doc-{i}" for i in range(698)), UUID(int=7), str(UUID(int=8))]


@every_kind
def test_ids_may_be_texts_and_uuids(codec, metric, tmp_path):
    index, rows = filled(codec, metric, TEXTS), filled(codec, metric, None)
    known = [*TEXTS[:699], UUID(int=8)]
    found, distances = index.search(QUERIES, K)
    expected = rows.search(QUERIES, K)
    assert found.tolist() == [[known[row] for row in some] for some in expected[0].tolist()]
    np.testing.assert_array_equal(distances, expected[1])
    among = ["doc-5", UUID(int=8), "none", str(UUID(int=7))]
    assert set(index.search(QUERIES[0], among=among)[0]) == {"doc-5", UUID(int=7), UUID(int=8)}
    index.save(tmp_path / "a")
    loaded = CodeIndex.load(tmp_path / "a", codec, verify=True)
    assert loaded.search(QUERIES, K)[0].tolist() == found.tolist()
    assert loaded.remove(["doc-0", UUID(int=7), "none"]) == 2
    assert loaded.search_ids([UUID(int=8)], 1)[0].tolist() == [[UUID(int=8)]]
    loaded.add(codec.encode_batch(ROWS[:1]), np.array(["näme"]))
    assert loaded.search_ids(["näme"], 1)[0].tolist() in ([["näme"]], [["doc-0"]])
    again = CodeIndex(codec, codec.encode_batch(ROWS[:2]), ["a", "b"], metric)
    assert pickle.loads(pickle.dumps(again)).ids.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "ids", [["a", 1], ["a", ""], ["a", None], ["a", "\ud800"], ["a"], [1, "a"]]
)
def test_ids_that_are_none_are_refused(ids):
    with pytest.raises(InvalidInput, match="ids"):
        CodeIndex(FLOAT8, FLOAT8.encode_batch(ROWS[:2]), ids)


def test_numbers_and_texts_are_not_mixed():
    index = filled(BITS, None, TEXTS)
    with pytest.raises(InvalidInput, match="numbers for all rows, or texts and UUIDs for all"):
        index.add(BITS.encode_batch(ROWS[:1]), [7])


@pytest.mark.parametrize(
    "changed",
    [
        {"name_ends": np.array([1, 1])},
        {"name_ends": np.array([1, 9])},
        {"names": np.uint8([255, 254])},
        {"ids": np.array([1, 2])},
        {"name_ends": None},
    ],
)
def test_damaged_names_are_told(tmp_path, changed):
    batch = BITS.encode_batch(ROWS[:2])
    names = {"names": np.frombuffer(b"ab", np.uint8), "name_ends": np.array([1, 2])}
    arrays = {**batch.columns, **names, **changed}
    about = code_file.About(2, BITS.method, "hamming", {"threshold": 0.1}, DIM)
    sound = {name: one for name, one in arrays.items() if one is not None}
    code_file.save(tmp_path / "a", sound, about)
    with pytest.raises(StorageCorruption):
        CodeIndex.load(tmp_path / "a")


def test_blocks_that_are_laid_out_already_are_taken():
    whole, index = filled(PQ, "l2", None), CodeIndex(BOOK)
    index.blocks, index.count = whole.blocks, 700
    np.testing.assert_array_equal(index.search(QUERIES), whole.search(QUERIES))
    with pytest.raises(AttributeError, match="see `arrays`"):
        _ = filled(BITS, None).blocks


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("count", [1, 7])
def test_the_nearest_float8_cosines_are_those_of_all_distances(count, num_threads):
    rng = np.random.default_rng(count)
    values, queries = rng.standard_normal((2000, 24), np.float32), rng.standard_normal((count, 24))
    values[900:950] = values[3]
    values[1500:1520] = 0
    queries[0] = values[3]
    index = CodeIndex(Float8Codec(24), metric="cosine")
    index.add_embeddings(values, ids=np.arange(5000, 7000))
    ids, distances = index.search(queries, 20, num_threads=num_threads)
    for query, found, far in zip(queries, ids, distances, strict=True):
        expected = index.distances(query)
        order = np.lexsort((np.arange(2000), expected))[:20]
        np.testing.assert_array_equal(found, order + 5000)
        np.testing.assert_array_equal(far, expected[order])
        one = index.search(query, 20, num_threads=num_threads)
        np.testing.assert_array_equal(one[0], found)
        np.testing.assert_array_equal(one[1], far)


def test_float8_rows_that_are_hardly_farther_count_as_equal():
    # 1 - cosine has fewer digits than a small cosine: the lower row comes first.
    values = np.zeros((500, 8), np.float32)
    values[:, 0], values[:, 1] = np.linspace(1, 2, 500), 2
    index = CodeIndex(Float8Codec(8), metric="cosine")
    index.add_embeddings(values)
    query = np.float32([1e-9, 0, 1, 0, 0, 0, 0, 0])
    assert index.search(query, 3)[0].tolist() == [0, 1, 2]
    assert index.search(np.stack([query, query]), 0)[0].shape == (2, 0)
    assert index.search(np.empty((0, 8), np.float32), 3)[0].shape == (0, 3)


@pytest.mark.parametrize(
    ("codec", "own", "other"),
    [
        (PQ, "l2", "cosine"),
        (PQ, "cosine", "l2"),
        (FLOAT8, "l2", "cosine"),
        (BITS, "hamming", "jaccard"),
    ],
)
def test_one_search_may_have_another_metric(codec, own, other):
    index, wanted = filled(codec, own), filled(codec, other)
    for _ in range(2):
        np.testing.assert_array_equal(
            index.search(QUERIES, K, metric=other), wanted.search(QUERIES, K)
        )
        np.testing.assert_array_equal(
            index.search(QUERIES, K, metric=own), filled(codec, own).search(QUERIES, K)
        )
    found = index.distances(QUERIES[0], [3, 1], metric=other)
    np.testing.assert_array_equal(found, wanted.distances(QUERIES[0], [3, 1]))
    assert index.metric == own
    with pytest.raises(InvalidInput, match="metric"):
        index.search(QUERIES, metric="dot")


def test_the_metric_of_one_search_orders_finer_codes_too():
    coarse, finer = filled(PQ, "l2"), filled(FLOAT8, "l2")
    found = coarse.search(QUERIES[0], K, metric="cosine", finer=finer, oversample=70)
    np.testing.assert_array_equal(found, filled(FLOAT8, "cosine").search(QUERIES[0], K))
    with pytest.raises(InvalidInput, match="hamming or jaccard, got cosine"):
        filled(BITS, None).search(QUERIES[0], K, metric="cosine", finer=finer)


@every_kind
def test_zeros_are_an_ordinary_query(codec, metric):
    index = filled(codec, metric)
    ids, distances = index.search(np.zeros(DIM, np.float32), 3)
    assert np.isfinite(distances).all()
    if metric == "cosine":
        assert (ids.tolist(), distances.tolist()) == (IDS[:3].tolist(), [1, 1, 1])


@pytest.mark.parametrize("metric", ["dot", 3, np.zeros(2), np.zeros(2, "V4")])
def test_a_search_by_what_is_no_metric_is_refused(metric):
    index = filled(*KINDS[0])
    with pytest.raises(InvalidInput, match="metric: expected "):
        index.search(QUERIES[0], metric=metric)
