"""A scan of codes scores as plain NumPy does on what the codes decode to."""

from itertools import groupby

import numpy as np
import pytest

from cgcython.base import QuantizationMethod
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_layouts import BITS, WITH_F32_SCALES, scale_bytes
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.errors import DimensionMismatch, InvalidInput, InvalidQuantizedData
from cgcython.metadata import BinaryMetadata, Float8Metadata
from cgcython.records import QuantizedEmbedding, SparseVector
from cgcython.search import inverted, sparse_scans, token_scans
from cgcython.search.scans import join, make_scan, scan_key
from cgcython.similarity import max_sim

pytestmark = pytest.mark.usefixtures("level")
RNG = np.random.default_rng(66)
ROWS = RNG.standard_normal((50, 24)).astype(np.float32)
QUERY = RNG.standard_normal(24).astype(np.float32)
# Codes are scored in float32; what they decode to is scored in float64 here.
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}


def sparse(nnz):
    indices = np.sort(RNG.choice(300, nnz, replace=False))
    return SparseVector(indices, RNG.uniform(0.1, 3, nnz), 300)


def cosine(a, b):
    norms = np.linalg.norm(a.astype(np.float64)) * np.linalg.norm(b.astype(np.float64))
    return a.astype(np.float64) @ b / norms if norms else 0.0


def scan_of(records, codebook=None):
    return make_scan(records, {codebook and codebook.codebook_id: codebook}.__getitem__)


@pytest.fixture(params=["float8", "float8 with bias", "pq8", "rq8"])
def dense(request, memories):
    """Return a scan of vectors and what its rows decode to."""
    codec = Float8Codec(24)
    if request.param == "rq8":
        stages = np.random.default_rng(3).standard_normal((5, 256, 12))
        codec = RQ8Codec(RQ8Codebook(stages, np.eye(16, 12), np.full(16, 0.1)))
    if request.param == "pq8":
        codec = PQ8Codec(next(iter(memories.codebooks.values())))
    records = [codec.encode(row[: codec.dim]) for row in ROWS]
    if request.param == "float8 with bias":
        bias = Float8Metadata(0.5, 0.25)
        records = [QuantizedEmbedding(one.method, 24, one.data, bias) for one in records]
    scan = scan_of(records, getattr(codec, "codebook", None))
    return scan, np.stack([codec.decode(one) for one in records]), QUERY[: codec.dim]


def test_dense_scores_are_cosines_of_what_was_decoded(dense):
    scan, decoded, query = dense
    expected = [cosine(row, query) for row in decoded]
    np.testing.assert_allclose(scan.scores(query), expected, **TOLERANCE)


def test_dense_dot_products_are_those_of_what_was_decoded(dense):
    scan, decoded, query = dense
    expected = decoded.astype(np.float64) @ query
    found = scan.scores(query, metric="dot")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_part_of_the_rows_scores_the_same(dense):
    scan, _, query = dense
    rows = np.array([7, 3, 3, 40])
    np.testing.assert_array_equal(scan.take(rows).scores(query), scan.scores(query)[rows])


@pytest.mark.parametrize("num_threads", [2, 3, 64])
def test_threads_change_nothing(dense, num_threads):
    scan, _, query = dense
    found = scan.scores(query, num_threads=num_threads)
    np.testing.assert_array_equal(found, scan.scores(query))


def test_a_query_of_another_dimension_is_refused(dense):
    with pytest.raises(DimensionMismatch):
        dense[0].scores(np.ones(23, np.float32))


def test_a_metric_there_is_not_is_refused(dense):
    with pytest.raises(InvalidInput, match="cosine or dot"):
        dense[0].scores(dense[2], metric="l2")


def test_a_query_knows_its_own_pq_codes(memories):
    book = next(iter(memories.codebooks.values()))
    scan = scan_of([PQ8Codec(book).encode(row[:16]) for row in ROWS], book)
    assert scan.equal_rows(ROWS[9, :16]).tolist() == [9]


@pytest.mark.parametrize("threshold", [0.0, 0.3])
def test_binary_scores_are_the_part_of_bits_that_agree(threshold):
    scan = scan_of([BinaryCodec(24, threshold).encode(row) for row in ROWS])
    expected = ((threshold <= ROWS) == (threshold <= QUERY)).mean(axis=1)
    np.testing.assert_allclose(scan.scores(QUERY), expected, rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_sparse_scores_are_those_of_dense_vectors(metric):
    vectors, query = [sparse(nnz) for nnz in (0, 1, 7, 30)], sparse(25)
    codecs = [
        SparseCodec(300, name) for name in ("canonical", "compact_f32", "compact_f16", "compact_u8")
    ]
    records = [codec.encode(one) for codec in codecs for one in vectors]
    records.sort(key=lambda one: scan_key(one).kind.__name__)
    rows = np.zeros((len(records), 300))
    for row, one in zip(rows, records):
        decoded = SparseCodec(300).decode(one)
        row[decoded.indices] = decoded.weights
    dense_query = np.zeros(300)
    dense_query[query.indices] = query.weights
    score = cosine if metric == "cosine" else np.dot
    expected = [score(row, dense_query) for row in rows]
    kinds = [list(some) for _, some in groupby(records, scan_key)]
    assert len(kinds) == 2
    found = np.concatenate([scan_of(some).scores(query, metric) for some in kinds])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("layout", ["canonical", "compact_e4m3", "compact_f32"])
def test_token_scores_are_max_sim_of_the_kept_tokens(layout):
    codec = TokenPruningCodec(24, layout=layout)
    documents = [ROWS[start : start + n] for start, n in ((0, 9), (9, 0), (9, 1), (10, 40))]
    records = [codec.encode(one) for one in documents]
    expected = [max_sim(ROWS[:5], codec.decode(one)) for one in records]
    np.testing.assert_allclose(scan_of(records).scores(ROWS[:5]), expected, rtol=1e-5)
    assert not scan_of(records).scores(ROWS[:0]).any()


TURNED = tuple(BITS)


@pytest.mark.parametrize("layout", TURNED)
@pytest.mark.parametrize("dim", [24, 9])
def test_small_token_codes_score_as_what_they_decode_to(layout, dim):
    codec = TokenPruningCodec(dim, layout=layout)
    rows, query = ROWS[:, :dim].copy(), ROWS[:5, :dim].copy()
    documents = [rows[start : start + n] for start, n in ((0, 9), (9, 0), (9, 1), (10, 40))]
    records = [codec.encode(one) for one in documents]
    scan = scan_of(records)
    assert type(scan) is token_scans.IntegerTokenScan
    expected = [max_sim(query, codec.decode(one)) for one in records]
    np.testing.assert_allclose(scan.scores(query), expected, rtol=0, atol=dim**0.5 / 65024)
    assert not scan.scores(rows[:0]).any()
    np.testing.assert_array_equal(
        scan.take(np.array([3, 0])).scores(query), scan.scores(query)[[3, 0]]
    )
    joined = join([scan, scan_of(records[:2])])
    np.testing.assert_array_equal(joined.scores(query), scan.scores(query)[[0, 1, 2, 3, 0, 1]])


@pytest.mark.parametrize("layout", TURNED)
def test_a_record_of_small_token_codes_is_like_itself(layout):
    fine = TokenPruningCodec(24, layout="compact_e4m3")
    records = [TokenPruningCodec(24, layout=layout).encode(ROWS[i : i + 12]) for i in (0, 12, 24)]
    stored = fine.decode(fine.encode(ROWS[12:24]))
    found = scan_of(records).similarities(ROWS[12:24], stored)
    assert found.argmax() == 1
    assert found[1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("layout", TURNED)
@pytest.mark.parametrize("damage", ["scale", "padding", "bitmap"])
def test_small_token_codes_no_encoder_wrote_are_refused(layout, damage):
    good = TokenPruningCodec(9, layout=layout).encode(ROWS[:8, :9])
    data = bytearray(good.data)
    at, byte = {"scale": (scale_bytes(layout), 0xFF), "padding": (-1, 0xFF), "bitmap": (0, 0)}[
        damage
    ]
    data[at] = byte
    with pytest.raises(InvalidQuantizedData):
        scan_of([QuantizedEmbedding(good.method, 9, bytes(data), good.metadata)])


CODECS = [
    Float8Codec(24),
    *(TokenPruningCodec(24, layout=one) for one in ("compact_e4m3", *TURNED)),
]


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_like_nothing(codec):
    empty = np.zeros((0, 24) if codec.method is QuantizationMethod.TOKEN_PRUNING else 24)
    other = ROWS[:4] if empty.ndim == 2 else ROWS[0]
    scan = scan_of([codec.encode(empty), codec.encode(other)])
    assert scan.similarities(empty, codec.decode(codec.encode(empty))).tolist() == [1.0, 0.0]


def test_records_that_one_query_cannot_meet_have_keys_of_their_own():
    records = [
        Float8Codec(24).encode(QUERY),
        Float8Codec(12).encode(QUERY[:12]),
        BinaryCodec(24).encode(QUERY),
        BinaryCodec(24, 0.5).encode(QUERY),
        TokenPruningCodec(24, layout="compact_e4m3").encode(ROWS),
        TokenPruningCodec(24, layout="compact_f32").encode(ROWS),
        TokenPruningCodec(24, layout="compact_int4").encode(ROWS),
        TokenPruningCodec(24, layout="compact_int2").encode(ROWS),
    ]
    assert len({scan_key(one) for one in records}) == len(records)


@pytest.mark.parametrize("layout", WITH_F32_SCALES)
def test_tokens_with_scales_of_both_widths_are_scanned_together(layout):
    codecs = [TokenPruningCodec(24, layout=one) for one in (layout, WITH_F32_SCALES[layout])]
    records = [codec.encode(ROWS[i : i + 7]) for i, codec in enumerate(codecs * 2)]
    assert len({scan_key(one) for one in records}) == 1
    expected = [max_sim(ROWS[:5], codecs[i % 2].decode(one)) for i, one in enumerate(records)]
    found = scan_of(records).scores(ROWS[:5])
    np.testing.assert_allclose(found, expected, rtol=0, atol=24**0.5 / 65024)


def test_codes_no_encoder_wrote_are_refused():
    nan = QuantizedEmbedding(QuantizationMethod.FLOAT8_E4M3, 2, b"\x00\x7f", Float8Metadata(1.0))
    padded = QuantizedEmbedding(QuantizationMethod.BINARY, 4, b"\x01", BinaryMetadata())
    for record in (nan, padded):
        with pytest.raises(InvalidQuantizedData):
            scan_of([record])


def test_sparse_rows_score_alike_alone_and_among_others():
    query, records = sparse(25), [SparseCodec(300).encode(sparse(nnz)) for nnz in (0, 1, 7, 30)]
    scan = scan_of(records)
    some = scan.take(np.array([3, 0, 2]))
    np.testing.assert_array_equal(some.scores(query), scan.scores(query)[[3, 0, 2]])


@pytest.mark.parametrize("least", [0, 1 << 18])
def test_inverted_lists_score_alike_on_threads(monkeypatch, least):
    monkeypatch.setattr(sparse_scans, "MANY_ROWS", least)
    monkeypatch.setattr(inverted, "MOST_ROWS", 7)
    query, scan = sparse(25), scan_of([SparseCodec(300).encode(sparse(nnz)) for nnz in range(30)])
    assert isinstance(scan, sparse_scans.FloatSparseScan)
    assert len(scan.lists.edges) == 6
    np.testing.assert_array_equal(scan.scores(query, num_threads=3), scan.scores(query))
