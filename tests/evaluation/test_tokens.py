"""What keeping some tokens costs: rows that agree with NumPy, limits that can be missed."""

from itertools import pairwise

import numpy as np
import pytest

from cgcython import TokenArray, TokenPruningCodec, max_sim
from cgcython.codecs.token_steps import BY_BUDGET
from cgcython.embedders.ladder import steps_for
from cgcython.evaluation import limits, tokens
from cgcython.evaluation.metrics import judgements
from cgcython.evaluation.tokens import LAYOUTS


def texts(count, seed, least=2, most=9):
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((n, 16), dtype=np.float32) for n in rng.integers(least, most, count)
    ]


DOCUMENTS, QUERIES = TokenArray.from_list(texts(30, 1)), TokenArray.from_list(texts(5, 2))
RELEVANT = judgements([[q, 3 * q + 1, 2] for q in range(5)], 5, 30)


def compared(**options):
    options = {"relevant": RELEVANT, "attention": np.ones(DOCUMENTS.num_tokens), **options}
    found = tokens.compare_tokens(DOCUMENTS, QUERIES, **options)
    return {(row.tokens, row.precision): row for row in found}


def test_every_planned_row_is_there_and_advances():
    steps = []
    found = compared(advance=lambda: steps.append(1))
    assert list(found) == tokens.plan(attention=True)
    assert len(steps) == len(found)
    names = "attention magnitude entropy max_abs coverage pooled all quarter"
    assert {name for name, _ in found} == set(names.split())


def test_bytes_and_tokens_are_counted():
    rows = compared()
    kept = sum(-(-len(one) // 2) for one in DOCUMENTS)
    bitmaps = sum(-(-len(one) // 8) for one in DOCUMENTS)
    for precision, size, head in (
        ("e4m3", 16 + 4, bitmaps),
        ("int4", 8 + 2, bitmaps),
        ("hadamard_sign", 2, 0),
    ):
        row = rows["coverage", precision]
        assert row.tokens_each == kept / 30
        assert row.bytes_per_token == size
        assert row.bytes_each == (kept * size + head) / 30
    quarters = sum(-(-len(one) // 4) for one in DOCUMENTS)
    assert rows["quarter", "int2"].tokens_each == quarters / 30


def test_texts_have_the_bytes_that_codecs_make_of_them():
    codec = TokenPruningCodec(16, layout=LAYOUTS["int2"], pool=True)
    sizes = np.diff(codec.encode_batch(DOCUMENTS).columns["offsets"])
    assert compared()["pooled", "int2"].bytes_each == sizes.mean()


def test_the_loss_is_one_minus_max_sim_of_each_text():
    kept = tokens.select(DOCUMENTS, "pooled", 0.5)
    losses = [1 - max_sim(one, other) for one, other in zip(DOCUMENTS, kept)]
    row = compared()["pooled", "float32"]
    assert (row.loss.mean, row.loss.max) == pytest.approx((np.mean(losses), np.max(losses)))


def test_rows_are_compared_with_the_half_that_covers_the_others_as_e4m3():
    rows = compared()
    base = rows["coverage", "e4m3"]
    for row in rows.values():
        assert row.gain10.over == "coverage e4m3"
        assert row.gain10.gain == pytest.approx(row.overlap10 - base.overlap10)
        assert row.gain10.interval[0] <= row.gain10.gain <= row.gain10.interval[1]
    assert compared(pairs=[("all", "int4")])["all", "int4"].gain10 is None


def test_texts_are_cut_to_their_first_tokens():
    cut, is_first = tokens.first_tokens(DOCUMENTS, 3)
    for one, whole in zip(cut, DOCUMENTS):
        np.testing.assert_array_equal(one, whole[:3])
    np.testing.assert_array_equal(DOCUMENTS.values[is_first], cut.values)


def ladder_rows(rows, step):
    """Return the row of a step of the ladder."""
    kept = {1.0: "all", 0.5: "pooled", 0.25: "quarter"}[BY_BUDGET[step].part]
    precision = {layout: name for name, layout in LAYOUTS.items()}[BY_BUDGET[step].layout]
    return rows[kept, precision]


@pytest.mark.real
@pytest.mark.parametrize("most", [32, 120, 512])
def test_no_step_of_the_ladder_is_worse_and_larger_than_the_next(data, most):
    with np.load(data / "tokens_cranfield.npz") as arrays:
        documents = TokenArray(arrays["doc_tok"].astype(np.float32), arrays["doc_off"])
        queries = TokenArray(arrays["q_tok"].astype(np.float32), arrays["q_off"])
    documents = tokens.first_tokens(documents, most)[0]
    pairs = [(one, code) for one in ("all", "pooled", "quarter") for code in ("int4", "int2")]
    found = tokens.compare_tokens(documents, queries, pairs=pairs)
    rows = {(row.tokens, row.precision): row for row in found}
    steps = [ladder_rows(rows, step) for step in steps_for(documents.counts.mean())]
    for one, following in pairwise(steps):
        assert one.bytes_each >= following.bytes_each
        assert one.overlap10 >= following.overlap10
    left_out = ladder_rows(rows, ({2, 3} - set(steps_for(documents.counts.mean()))).pop())
    assert left_out.overlap10 <= steps[2].overlap10 + 0.005


def test_the_overlap_agrees_with_numpy():
    def units(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def top(documents):
        scores = [[(units(q) @ units(d).T).max(1).sum() for d in documents] for q in QUERIES]
        return np.argsort(-np.array(scores), axis=1)[:, :10]

    kept = [d[np.sort(np.argsort(-np.abs(d).max(1))[: -(-len(d) // 2)])] for d in DOCUMENTS]
    pairs = zip(top(list(DOCUMENTS)), top(kept))
    expected = np.mean([len({*a.tolist()} & {*b.tolist()}) / 10 for a, b in pairs])
    assert compared()["max_abs", "float32"].overlap10 == pytest.approx(expected)


def test_norms_decide_by_length():
    unit = TokenArray(
        DOCUMENTS.values / np.linalg.norm(DOCUMENTS.values, axis=1, keepdims=True),
        DOCUMENTS.offsets,
    )
    norms = np.linalg.norm(DOCUMENTS.values, axis=1)
    with_norms = tokens.compare_tokens(unit, QUERIES, RELEVANT, norms=norms)
    found = {(row.tokens, row.precision): row for row in with_norms}["magnitude", "float32"]
    assert found.overlap10 == compared()["magnitude", "float32"].overlap10


def test_limits_are_for_half_the_tokens_and_name_what_is_missed():
    row = compared()["coverage", "float32"]
    assert any("top10" in missed for missed in row.missed)
    assert not compared(compression=0.75)["coverage", "float32"].missed


def test_without_judgements_the_overlap_remains():
    row = compared(relevant=None)["pooled", "float32"]
    assert row.ndcg10 is None
    assert 0 < row.overlap10 <= 1


def test_the_limits_are_of_rows_that_are_planned():
    planned = set(tokens.plan(attention=None))
    assert all(set(one) <= planned for one in (limits.TOKENS, *limits.FIRST_TOKENS.values()))
