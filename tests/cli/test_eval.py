"""`eval`: figures that agree with numpy, from codes made now or from a store."""

import numpy as np
import pytest


@pytest.fixture
def evaluate(cli, work, models):
    def run(*words, inputs=(work / "corpus.npz",)):
        queries = "--queries", work / "queries.npz"
        return cli("eval", *inputs, *queries, *models, "--json", *words)

    return run


def rows(result):
    return {row["embedder"]: row for row in result.json["rows"]}


def test_every_embedder_and_their_fusion_has_a_row(evaluate, work):
    found = rows(evaluate("--qrels", work / "qrels.npy"))
    assert list(found) == ["E1", "E6", "E8", "E12", "fused"]
    assert found["E1"]["bytes_each"] == 8
    assert found["E12"]["memories"] == 20


def test_ndcg_of_float32_agrees_with_numpy(evaluate, work):
    found = rows(evaluate("--qrels", work / "qrels.npy"))["E8"]["ndcg10"]
    with np.load(work / "corpus.npz") as corpus:
        values = corpus["E8"] / np.linalg.norm(corpus["E8"], axis=1, keepdims=True)
    ranks = np.argsort(-values[:6] @ values.T, axis=1)
    assert np.all(ranks[:, 0] == np.arange(6))
    assert found["float32"] == 1
    assert found["interval"][0] <= found["drop"] <= found["interval"][1]


def test_without_judgements_losses_and_overlap_remain(evaluate):
    found = rows(evaluate())["E8"]
    assert found["ndcg10"] is None
    assert 0 < found["loss"]["mean"] < found["loss"]["p99"] <= found["loss"]["max"] < 0.001
    assert found["overlap10"] > 0.9


def test_sparse_vectors_lose_nothing(evaluate):
    assert rows(evaluate())["E6"]["loss"]["max"] < 1e-12


def test_a_store_gives_the_same_figures(cli, evaluate, work):
    direct = rows(evaluate("--qrels", work / "qrels.npy"))
    queries = "--queries", work / "queries.npz", "--qrels", work / "qrels.npy"
    stored = cli("eval", work / "corpus.npz", *queries, "--store", work / "store", "--json")
    for name, row in rows(stored).items():
        assert row | {"encode_us": 0} == direct[name] | {"encode_us": 0}


def test_the_table_names_its_columns(cli, work, models):
    queries = "--queries", work / "queries.npz"
    result = cli("eval", work / "corpus.npz", *queries, *models)
    assert result.out.split()[:5] == ["embedder", "method", "count", "queries", "bytes"]
    assert "as float32" in result.err


def test_judgements_beyond_the_corpus_are_bad_data(evaluate, tmp_path):
    np.save(tmp_path / "qrels.npy", [[0, 999, 1]])
    assert evaluate("--qrels", tmp_path / "qrels.npy").code == 3


def test_memories_missing_from_the_store_are_named(cli, work):
    words = "--queries", work / "queries.npz", "--store", work / "store"
    result = cli("eval", f"E1={work}/train.npz", *words)
    assert result.code == 2
    assert "memory 40" in result.err


@pytest.mark.parametrize(
    ("step", "most_drop", "least_overlap"), [(0, 0.001, 1.0), (1, 0.002, 0.99)]
)
def test_small_weights_rank_real_vectors_as_float32_does(cli, data, step, most_drop, least_overlap):
    file = data / "sparse_cranfield.npz"
    found = cli(
        "eval", f"E6={file}:d_indptr,d_idx,d_w", "--queries", f"E6={file}:q_indptr,q_idx,q_w",
        "--qrels", f"{file}:qrels", "--metric", "dot", "--step", step, "--json",
    )  # fmt: skip
    row = rows(found)["E6"]
    assert row["ndcg10"]["drop"] <= most_drop
    assert row["overlap10"] >= least_overlap
    assert row["loss"]["max"] < 1e-4


@pytest.mark.real
@pytest.mark.parametrize(("step", "most_drop"), [(0, 0.005), (2, 0.012), (3, 0.005), (4, 0.012)])
def test_small_codes_of_tokens_rank_within_the_limits(cli, data, step, most_drop):
    file = data / "tokens_cranfield.npz"
    found = cli(
        "eval", f"E12={file}:doc_tok,doc_off", "--queries", f"E12={file}:q_tok,q_off",
        "--qrels", f"{file}:qrels", "--step", step, "--json",
    )  # fmt: skip
    assert rows(found)["E12"]["ndcg10"]["drop"] <= most_drop
