"""What keeping some tokens costs: rows that agree with NumPy, limits that can be missed."""

import numpy as np
import pytest

from cgcython import TokenArray
from cgcython.evaluation import limits, tokens
from cgcython.evaluation.metrics import judgements


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
    assert {"attention", "magnitude", "entropy", "max_abs", "coverage", "pooled", "all"} == {
        name for name, _ in found
    }


def test_bytes_and_tokens_are_counted():
    row = compared()["coverage", "e4m3"]
    kept = sum(-(-len(one) // 2) for one in DOCUMENTS)
    assert row.tokens_each == kept / 30
    assert row.bytes_per_token == 16 + 4


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
    assert set(limits.TOKENS) <= set(tokens.plan(attention=None))
