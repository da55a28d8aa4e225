"""`eval methods`: the table of all methods, drawn and as JSON; limits that fail the command."""

import sys

import numpy as np
import pytest


@pytest.fixture
def evaluate(cli, work, models, few_steps, no_residual_training):
    inputs = f"E1={work}/train.npz:E1", "--queries", f"E1={work}/queries.npz:E1"
    quick = "--seeds", 1, "--sizes", 8, *models[-2:]
    return lambda *more: cli("eval", "methods", *inputs, *quick, *more)


def test_every_method_has_a_row_and_the_drawing_is_made(evaluate, tmp_path):
    result = evaluate("--plot", tmp_path / "methods.svg")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split()[:4] == ["method", "training", "bytes", "runs"]
    assert [line.split("  ")[0] for line in lines[1:4]] == ["float32", "float8", "scalar, 8 bits"]
    assert "in-domain" in lines[-1]
    assert "rotated PQ" in (tmp_path / "methods.svg").read_text()


def test_json_says_how_codebooks_were_trained(evaluate, work, tmp_path):
    np.save(tmp_path / "qrels.npy", [[query, row, 1] for query in range(6) for row in range(600)])
    found = evaluate("--train", f"{work}/train.npz", "--qrels", tmp_path / "qrels.npy", "--json")
    assert found.json["training"] == {"folds": 2, "seeds": 1, "copies": 3}
    row = next(one for one in found.json["rows"] if one["method"] == "rq8")
    assert (row["training"], row["bytes_each"]) == ("mixed", 8)
    assert set(row["recall10"]) == {"float32", "quantized", "drop", "interval"}
    assert row["gain10"]["over"] == "rotated PQ of 8 bytes"
    low, high = row["gain10"]["interval"]
    assert low < row["gain10"]["gain"] < high


def test_a_missed_limit_is_named_and_fails(evaluate, work, monkeypatch):
    from cgcython.evaluation import limits

    monkeypatch.setitem(limits.METHODS, ("float8", None), limits.Limit(loss=1e-9))
    result = evaluate("--limits")
    assert result.code == 1
    assert "float8, 36 bytes: mean loss" in result.err


def test_sparse_vectors_have_a_row_for_each_layout(cli, work, models):
    corpus = work / "corpus.npz"
    words = f"E6={corpus}:E6.indptr,E6.indices,E6.weights"
    result = cli("eval", "methods", words, "--queries", words, *models[-2:])
    assert result.code == 0, result.err
    assert {"canonical", "compact_f16"} <= set(result.out.split())


def test_rows_of_some_memories_are_judged_by_their_numbers(cli, work, models, tmp_path):
    indptr, rows = np.arange(4), np.array([2, 5, 9])
    np.savez(tmp_path / "few.npz", p=indptr, i=[3, 4, 5], w=np.ones(3, np.float32), at=rows)
    np.save(tmp_path / "qrels.npy", [[5, 5, 1], [2, 9, 1]])
    words = f"E6={tmp_path}/few.npz:p,i,w@at"
    more = "--queries", words, "--qrels", tmp_path / "qrels.npy", "--json"
    found = cli("eval", "methods", words, *more, *models[-2:]).json["rows"][1]
    assert found["ndcg10"]["float32"] == pytest.approx((1 + 1 / 2) / 2)


def test_peers_without_faiss_are_refused_with_the_remedy(evaluate, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    result = evaluate("--peers")
    assert result.code == 2
    assert "pip install faiss-cpu" in result.err


@pytest.mark.parametrize("words", [["--folds", 1], ["--sizes", "7"], ["--plot", "x.jpg"]])
def test_useless_arguments_are_usage_errors(evaluate, words):
    assert evaluate(*words).code == 2


def test_inputs_that_do_not_fit_are_named(evaluate, cli, work, models):
    assert "tokens: cgcython" not in evaluate("--sizes", "24").err
    assert evaluate("--sizes", "24").code == 2
    np.save(work / "other.npy", np.zeros((300, 5), np.float32))
    assert evaluate("--train", work / "other.npy").code == 3
    few = f"E8={work}/corpus.npz:E8"
    result = cli("eval", "methods", few, "--queries", few, *models[-2:])
    assert result.code == 3
    assert "rows to train on" in result.err
    both = cli("eval", "methods", work / "corpus.npz", "--queries", few, *models[-2:])
    assert both.code == 2
    assert "one embedder" in both.err
