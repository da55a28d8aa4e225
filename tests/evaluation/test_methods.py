"""All methods side by side: figures that agree with NumPy, rows that no codebook has seen."""

import numpy as np
import pytest

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import InvalidInput
from cgcython.evaluation import folds, limits, methods, ranking
from cgcython.evaluation.choices import (
    dense_methods,
    own_kinds,
    sparse_methods,
    trained_methods,
)
from cgcython.evaluation.folds import Folded, require_enough, samples, train_folds
from cgcython.evaluation.limits import Limit
from cgcython.evaluation.methods import MethodRow, compare_methods
from cgcython.evaluation.ranking import rank
from cgcython.inputs.columns import DenseColumn, SparseColumn

RNG = np.random.default_rng(12)
CENTRES = RNG.standard_normal((60, 32)).astype(np.float32)
DOCUMENTS = (np.tile(CENTRES, (10, 1)) + 0.3 * RNG.standard_normal((600, 32))).astype(np.float32)
QUERIES = list(DOCUMENTS[::50] + np.float32(0.1))
RELEVANT = [{row: 2} for row in range(0, 600, 50)]


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def best(queries, rows, k=10):
    return np.argsort(-(unit(queries) @ unit(rows).T), axis=1, kind="stable")[:, :k]


def overlap(queries, rows, coded_queries, coded_rows):
    pairs = zip(best(queries, rows), best(coded_queries, coded_rows))
    return np.mean([len(set(a) & set(b)) / 10 for a, b in pairs])


@pytest.fixture(scope="module")
def dense():
    rows = compare_methods("E8", DenseColumn(DOCUMENTS), dense_methods(32), QUERIES, RELEVANT)
    return {row.method: row for row in rows}


def test_float32_is_the_base_of_all_others(dense):
    row = dense["float32"]
    assert (row.bytes_each, row.overlap10, row.recall10.drop) == (128, 1, 0)
    assert row.loss is None


def test_bits_that_meet_a_float_query_agree_with_numpy(dense):
    queries, signs = np.array(QUERIES), np.where(DOCUMENTS >= 0, 1.0, -1.0)
    found = dense[limits.SIGNS_ASKED]
    assert found.overlap10 == pytest.approx(overlap(queries, DOCUMENTS, queries, signs), abs=0.02)
    assert found.bytes_each == dense[limits.SIGNS].bytes_each == 4


def test_projected_bits_are_the_mean_of_ten_seeds(dense):
    expected = []
    for seed in range(10):
        projection = np.random.default_rng(seed).standard_normal((32, 1024))
        signs = np.where(DOCUMENTS @ projection >= 0, 1.0, -1.0)
        projected = np.array(QUERIES) @ projection
        pairs = zip(best(np.array(QUERIES), DOCUMENTS), best(projected, signs))
        expected.append(np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]))
    found = dense[limits.PROJECTED_ASKED]
    assert (found.runs, found.bytes_each) == (10, 128)
    assert found.overlap10 == pytest.approx(np.mean(expected), abs=0.005)


def test_a_row_is_coded_by_the_codebook_of_its_fold(monkeypatch):
    books = [PQ8Codebook(np.full((8, 256, 4), value) + np.eye(8, 1)[:, None]) for value in (1, 2)]
    whole = rank(Folded(books), DenseColumn(DOCUMENTS), QUERIES[:2])
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 128 * 7)
    parts = rank(Folded(books), DenseColumn(DOCUMENTS), QUERIES[:2])
    even, odd = (book.decode(np.zeros((1, 8), np.uint8)) for book in books)
    expected = np.where(np.arange(600)[:, None] % 2, odd, even)
    cosines = (unit(DOCUMENTS) * unit(expected)).sum(1)
    np.testing.assert_allclose(whole.losses, 1 - cosines, atol=1e-6)
    np.testing.assert_array_equal(parts.losses, whole.losses)
    np.testing.assert_array_equal(parts.tops[1], whole.tops[1])


def test_a_fold_is_trained_on_all_others_three_times():
    others = np.zeros((9, 32), np.float16)
    found = samples(DenseColumn(DOCUMENTS), others, fold=1, folds=3)
    own = DOCUMENTS[np.arange(600) % 3 != 1]
    np.testing.assert_array_equal(found, np.concatenate([others, own, own, own]))
    np.testing.assert_array_equal(samples(DenseColumn(DOCUMENTS), None, 1, 3), own)


def test_of_very_many_rows_some_are_taken(monkeypatch):
    monkeypatch.setattr(folds, "MAX_SAMPLES", 400)
    found = samples(DenseColumn(DOCUMENTS), DOCUMENTS[:100], fold=0)
    assert found.shape == (400, 32)
    assert 20 < (found[:, None] == DOCUMENTS[:100:2]).all(2).any(1).sum() < 400 / 4


def test_a_training_that_is_interrupted_ends_the_comparison(monkeypatch):
    book = PQ8Codebook(np.zeros((8, 256, 4)), metadata={"interrupted": True})
    monkeypatch.setattr(PQ8Codebook, "train", lambda *_, **__: book)
    with pytest.raises(KeyboardInterrupt):
        train_folds(DenseColumn(DOCUMENTS), None, PQ8Codebook.train)


def test_too_few_rows_are_refused_before_any_work():
    with pytest.raises(InvalidInput, match="rows to train on"):
        require_enough(DenseColumn(DOCUMENTS[:500]), None, 2)
    with pytest.raises(InvalidInput, match="rows to train on"):
        trained_methods(DenseColumn(DOCUMENTS[:1]), DOCUMENTS, own_kinds(32))


@pytest.mark.filterwarnings("ignore:.*samples are few")
def test_trained_methods_cover_sizes_kinds_and_trainings(few_steps, no_residual_training):
    column, options = DenseColumn(DOCUMENTS), {"seeds": 1, "in_domain": True}
    found = trained_methods(column, DOCUMENTS + np.float32(0.5), own_kinds(32, [8]), **options)
    _, *rows = compare_methods("E8", column, found, QUERIES, RELEVANT)
    names = [(row.method, row.training, row.runs) for row in rows]
    signs = (limits.CENTRED, limits.CENTRED_ASKED, limits.CENTRED_FACTOR)
    every = (limits.PLAIN_PQ, limits.ROTATED_PQ, limits.ROTATED_PQ_L2, limits.RQ8, *signs)
    ours = [name for name in every if name not in (limits.ROTATED_PQ_L2, limits.CENTRED_ASKED)]
    assert names == [(name, "mixed", 1) for name in every] + [
        (name, "in-domain", 1) for name in ours
    ]
    assert all(0 < row.loss.mean < row.loss.p99 <= row.loss.max for row in rows)
    sizes = {limits.CENTRED: 4, limits.CENTRED_ASKED: 4, limits.CENTRED_FACTOR: 4 + 2}
    assert all(row.bytes_each == sizes.get(row.method, 8) for row in rows)
    assert not any(row.missed for row in rows if row.training == "in-domain")


@pytest.mark.filterwarnings("ignore:.*samples are few")
def test_scans_of_one_size_share_codebooks_and_score_what_these_decode_to(few_steps):
    column, trained = DenseColumn(DOCUMENTS), []
    _, rotated, *_ = own_kinds(32, [8])

    def train(rows, size, seed):
        trained.append(rotated.train(rows, size, seed))
        return trained[-1]

    found = trained_methods(column, None, [rotated._replace(train=train)], seeds=1)
    _, _, by_l2 = compare_methods("E8", column, found, QUERIES)
    assert len(trained) == 2
    decoded = np.empty_like(DOCUMENTS)
    for fold, book in enumerate(trained):
        decoded[fold::2] = book.decode(book.encode(DOCUMENTS[fold::2]))
    nearest = [np.argsort(((decoded - query) ** 2).sum(1))[:10] for query in QUERIES]
    wanted = best(np.array(QUERIES), DOCUMENTS)
    expected = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(wanted, nearest)])
    assert by_l2.overlap10 == pytest.approx(expected, abs=0.02)


def row_of(method, size, num_bytes, overlaps, training="mixed"):
    return MethodRow(
        **dict.fromkeys(
            ["encode_us", "scan_ns", "shortlist", "loss", "gain10", "ndcg10", "recall10"]
        ),
        embedder="E8",
        method=method,
        family=method,
        training=training,
        size=size,
        bytes_each=num_bytes,
        runs=1,
        overlap10=float(np.mean(overlaps)),
        overlaps=np.array(overlaps),
    )


def test_a_gain_is_over_rotated_pq_of_no_more_bytes():
    rows = [
        row_of("float8", None, 36, [0.9, 1.0, 0.8], None),
        row_of(limits.ROTATED_PQ, 8, 8, [0.5, 0.5, 0.5]),
        row_of(limits.ROTATED_PQ, 32, 32, [0.8, 0.9, 0.7]),
        row_of(limits.ROTATED_PQ, 8, 8, [0.1, 0.1, 0.1], "in-domain"),
        row_of(limits.RQ8, 8, 8, [0.5, 0.6, 0.55]),
        row_of("coarse", None, 4, [0.1, 0.1, 0.1], None),
    ]
    float8, smallest, larger, _, residual, coarse = methods._judged(rows)
    assert float8.gain10.over == "rotated PQ of 32 bytes"
    assert float8.gain10.gain == pytest.approx(0.1)
    assert float8.gain10.interval == pytest.approx((0.1, 0.1))
    assert residual.gain10.gain == pytest.approx(0.05)
    assert residual.gain10.interval == pytest.approx((0, 0.1), abs=0.02)
    assert (smallest.gain10, coarse.gain10) == (None, None)
    assert larger.gain10.over == "rotated PQ of 8 bytes"
    assert larger.gain10.gain == pytest.approx(0.3)
    assert residual.missed == ("top10 +0.050 (+0.000..+0.100) over rotated PQ of 8 bytes < +0.06",)


def test_a_shortlist_holds_98_percent_of_the_top_10():
    exact, coded = ranking.Tops(1, 600), ranking.Tops(1, 600)
    exact.see(0, 0, np.linspace(1, 0, 600, dtype=np.float32))
    last = np.linspace(1, 0, 600, dtype=np.float32)
    last[9] = last[40] + 1e-6
    coded.see(0, 0, last)
    assert methods._shortlist(exact, [exact]) == 10
    assert methods._shortlist(exact, [coded]) == 40
    last[9] = -1
    far = ranking.Tops(1, 512)
    far.see(0, 0, last)
    assert methods._shortlist(exact, [far]) is None


def test_bytes_count_the_scale_of_an_embedding(dense):
    assert dense["float8"].bytes_each == 32 + 4
    assert [dense[name].bytes_each for name in limits.SCALARS.values()] == [
        size + 2 + 1 for size in (32, 24, 16, 8)
    ]


def test_scans_of_codes_are_timed_and_those_of_decoded_ones_are_not(dense):
    timed = {name for name, row in dense.items() if row.scan_ns}
    untrained = {limits.FLOAT8, limits.SIGNS, limits.PROJECTED}
    assert timed == untrained | set(limits.SCALARS.values())


def test_sparse_layouts_lose_what_their_weights_do():
    indptr, weights = np.arange(0, 101, 5), RNG.uniform(0.5, 2, 100).astype(np.float32)
    indices = RNG.permuted(np.tile(np.arange(60), (20, 1)), axis=1)[:, :5].ravel()
    column = SparseColumn(indptr, indices, weights, 60)
    rows = list(compare_methods("E6", column, sparse_methods(60), [column[3]], [{3: 1}]))
    losses = {row.method: row.loss and row.loss.mean for row in rows}
    assert losses["canonical"] < 1e-12 < losses["compact_f16"] < 1e-6
    assert rows[1].bytes_each == 4 + 8 * 5


def test_what_goes_beyond_a_limit_is_named(dense):
    found = Limit(loss=1e-5, recall10=-1, overlap10=1.1).missed(
        dense["float8"], dense["float8"].loss
    )
    assert [one.split(" ")[0] for one in found] == ["mean", "Recall@10", "top10"]
    assert Limit().missed(dense["float8"], dense["float8"].loss) == ()
