"""Codes beside float32: the figures against numpy, the rules where data are missing."""

import numpy as np

from cgcython.base import ModelId, Profile
from cgcython.evaluation.comparison import Change, compare
from cgcython.evaluation.contenders import Contender
from cgcython.evaluation.representations import Codes, Stored
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.inputs.columns import DenseColumn, SparseColumn, TokenColumn
from cgcython.records import SparseVector
from cgcython.router import QuantizationRouter

E6, E8, E9, E12 = ModelId.SPARSE, ModelId.GRAPH, ModelId.HDC, ModelId.LATE_INTERACTION
RNG = np.random.default_rng(11)
DENSE = RNG.standard_normal((30, 384), dtype=np.float32)
TOKENS = [RNG.standard_normal((count, 128), dtype=np.float32) for count in (4, 1, 7, 2)]
SPARSE = (
    np.array([0, 2, 2, 5]),
    np.array([1, 9, 0, 9, 30521], np.uint16),
    np.array([1, 2, 1, 1, 0.5], np.float32),
    30522,
)


def codec_of(model_id, profile=None):
    router = QuantizationRouter(profile=profile)
    return router.codec(model_id, step=0)


def contender(model_id, documents, memories=None, metric="cosine"):
    match documents:
        case tuple():
            column = SparseColumn(*documents)
        case list():
            offsets = np.cumsum([0, *map(len, documents)])
            column = TokenColumn(np.concatenate(documents), offsets)
        case _:
            column = DenseColumn(documents)
    memories = np.arange(len(column)) if memories is None else np.array(memories)
    return Contender(model_id, column, memories, Codes(codec_of(model_id)), metric)


def scores(one, query):
    """Return the scores of every document as float32 and as codes, in the order of rows."""
    found = [side.tops[0] for side in one.ranked([query], k=len(one.column))]
    return [values[np.argsort(rows)] for rows, values in found]


def losses(one):
    return one.ranked([])[1].losses


def test_float_scores_are_cosines(level):
    exact, coded = scores(contender(E8, DENSE), DENSE[3])
    units = DENSE / np.linalg.norm(DENSE, axis=1, keepdims=True)
    np.testing.assert_allclose(exact, units @ units[3], atol=1e-6)
    np.testing.assert_allclose(coded, exact, atol=0.01)


def test_dot_products_on_request():
    exact, coded = scores(contender(E8, DENSE, metric="dot"), DENSE[3])
    np.testing.assert_allclose(exact, DENSE @ DENSE[3], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(coded, exact, atol=0.02 * 384)


def test_sparse_scores_are_cosines_of_scattered_rows():
    exact, coded = scores(contender(E6, SPARSE), SparseVector([9], [3.0], 30522))
    np.testing.assert_allclose(exact, [2 / 5**0.5, 0, 1 / 1.5], rtol=1e-6)
    np.testing.assert_array_equal(coded, exact)


def test_token_scores_are_means_of_the_best_cosines():
    query = TOKENS[2][:2]
    exact, _ = scores(contender(E12, TOKENS), query)
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in [*TOKENS, query]]
    expected = [max(0, (units[-1] @ one.T).max(1).mean()) for one in units[:-1]]
    np.testing.assert_allclose(exact, expected, atol=1e-6)


def test_losses_are_those_of_the_codecs():
    codec = codec_of(E8)
    decoded = np.stack([codec.decode(codec.encode(row)) for row in DENSE])
    cosines = (DENSE * decoded).sum(1) / np.linalg.norm(DENSE, axis=1)
    found = losses(contender(E8, DENSE))
    np.testing.assert_allclose(1 - cosines / np.linalg.norm(decoded, axis=1), found, atol=1e-6)
    np.testing.assert_allclose(losses(contender(E6, SPARSE)), 0, atol=1e-15)
    assert np.all(losses(contender(E12, TOKENS)) >= 0)


def test_given_records_are_the_ones_judged():
    router, codec = QuantizationRouter(), codec_of(E8)
    records = [codec.encode(row) for row in DENSE[::-1]]
    side = Stored(codec, router, lambda first, count: records[first : first + count])
    one = Contender(E8, DenseColumn(DENSE), np.arange(30), side)
    assert losses(one).mean() > 0.5
    assert side.encode_us > 0


def test_records_of_two_layouts_are_scored_together():
    indptr, indices, weights, dimension = SPARSE
    weights = weights.copy()
    weights[0] = 1e6  # beyond f16, so that this record keeps f32
    one = contender(E6, (indptr, indices, weights, dimension))
    (row,) = compare([one], [])
    assert row.layout == "compact_f16, compact_f32"
    exact, coded = scores(one, SparseVector([9], [3.0], 30522))
    np.testing.assert_array_equal(coded, exact)


def test_judgements_outside_a_contender_are_left_out():
    one = contender(E8, DENSE[:5], [0, 2, 4, 6, 8])
    (row,) = compare([one], [{E8: DENSE[1]}, {E8: DENSE[0]}], [{2: 1}, {3: 4}])
    assert (row.memories, row.queries) == (5, 2)
    assert row.ndcg10.float32 == row.recall10.float32 == 1


def test_fusion_counts_whole_records():
    both = [contender(E8, DENSE), contender(E9, RNG.standard_normal((30, 1024), np.float32))]
    rows = compare(both, [{E8: DENSE[0]}])
    assert [row.embedder for row in rows] == ["E8", "E9", "fused"]
    router = QuantizationRouter()
    record = router.quantize_fingerprint({E8: DENSE[0], E9: np.tile(DENSE[0], 3)[:1024]})
    assert rows[-1].bytes_each == QuantizedFingerprint(record).size_bytes > 384 + 128
    assert rows[-1].float32_bytes_each == 4 * (384 + 1024)


def test_fusion_of_the_query_itself_finds_it():
    both = [contender(E8, DENSE), contender(E9, np.tile(DENSE, 3)[:, :1024])]
    queries = [{E8: DENSE[i], E9: np.tile(DENSE[i], 3)[:1024]} for i in range(4)]
    row = compare(both, queries, [{i: 1} for i in range(4)])[-1]
    assert row.ndcg10.float32 == row.ndcg10.quantized == 1


def test_queries_without_the_embedder_are_not_counted():
    (row,) = compare([contender(E8, DENSE)], [{E9: DENSE[0]}, {E8: DENSE[0]}])
    assert row.queries == 1
    assert row.overlap10 > 0.8


def test_without_queries_only_bytes_and_losses_are_reported():
    (row,) = compare([contender(E8, DENSE)], [])
    assert (row.queries, row.overlap10, row.ndcg10) == (0, None, None)
    assert row.loss.mean > 0


def test_no_drop_is_reported_where_float32_finds_nothing():
    assert Change.of(np.zeros(3), np.zeros(3)) is None


def test_another_profile_brings_other_dimensions():
    profile = Profile.from_toml('E8 = { dimension = 30, method = "binary" }')
    codec = codec_of(E8, profile)
    one = Contender(E8, DenseColumn(DENSE[:, :30]), np.arange(30), Codes(codec))
    assert compare([one], [])[0].bytes_each == 4
