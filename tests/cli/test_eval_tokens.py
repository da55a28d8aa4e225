"""`eval tokens`: a row for each way to keep and code tokens; limits that fail the command."""

import numpy as np
import pytest


@pytest.fixture
def evaluate(cli, work, models):
    corpus, profile = work / "corpus.npz", models[-2:]
    inputs = f"E12={corpus}:E12.values,E12.offsets@E12.rows"
    words = inputs, "--queries", inputs, *profile
    return lambda *more: cli("eval", "tokens", *words, *more)


def test_the_table_has_a_row_for_each_way(evaluate):
    result = evaluate()
    lines = result.out.splitlines()
    assert result.code == 0
    assert lines[0].split()[:5] == ["tokens", "precision", "each", "bytes", "text"]
    assert [
        line.split()[0] for line in lines[1:6]
    ] == "magnitude entropy max_abs coverage pooled".split()


def test_json_has_every_figure(evaluate, work, tmp_path):
    np.save(tmp_path / "qrels.npy", [[row, row, 1] for row in range(0, 40, 2)])
    found = evaluate("--qrels", tmp_path / "qrels.npy", "--json").json
    assert found["documents"] == 39
    row = next(one for one in found["rows"] if one["tokens"] == "all")
    assert row["ndcg10"]["float32"] == pytest.approx(1)
    assert row["overlap10"] > 0.8
    assert row["gain10"]["over"] == "coverage e4m3"


def test_texts_may_be_cut_to_their_first_tokens(evaluate, work, tmp_path):
    with np.load(work / "corpus.npz") as corpus:
        counts, total = np.diff(corpus["E12.offsets"]), len(corpus["E12.values"])
    np.save(tmp_path / "weights.npy", np.ones(total, np.float32))
    found = evaluate("--tokens", 3, "--attention", tmp_path / "weights.npy", "--json").json
    row = next(one for one in found["rows"] if one["tokens"] == "all")
    assert row["tokens_each"] == pytest.approx(np.minimum(counts, 3).sum() / found["documents"])


def test_limits_are_those_of_whole_texts_or_of_32_tokens(evaluate, tmp_path):
    np.save(tmp_path / "qrels.npy", [[row, row, 1] for row in range(0, 40, 2)])
    result = evaluate("--qrels", tmp_path / "qrels.npy", "--limits", "--tokens", 31)
    assert result.code == 2
    assert "--limits needs --tokens 32, or whole texts" in result.err


def test_weights_of_tokens_add_the_attention_row(evaluate, tmp_path, work):
    with np.load(work / "corpus.npz") as corpus:
        count = len(corpus["E12.values"])
    np.save(tmp_path / "weights.npy", np.ones((count, 2), np.float32))
    assert "attention" in evaluate("--attention", tmp_path / "weights.npy").out
    np.save(tmp_path / "weights.npy", np.ones(count - 1))
    assert evaluate("--attention", tmp_path / "weights.npy").code == 3


def test_a_missed_limit_is_named_and_fails(evaluate, tmp_path):
    np.save(tmp_path / "qrels.npy", [[row, row, 1] for row in range(0, 40, 2)])
    result = evaluate("--qrels", tmp_path / "qrels.npy", "--limits")
    assert result.code == 1
    assert "coverage as float32: nDCG@10 drop" in result.err


@pytest.mark.parametrize(
    "words", [["--limits"], ["--compression", "1"], ["--compression", "x"], ["--tokens", "0"]]
)
def test_useless_arguments_are_usage_errors(evaluate, words):
    assert evaluate(*words).code == 2


def test_other_embedders_have_no_tokens(cli, work, models):
    words = f"E1={work}/train.npz", "--queries", f"E1={work}/train.npz"
    result = cli("eval", "tokens", *words, *models[-2:])
    assert result.code == 2
    assert "E12=FILE" in result.err


@pytest.mark.real
@pytest.mark.parametrize("cut", [[], ["--tokens", 32]])
def test_the_limits_hold_on_real_tokens(cli, data, cut):
    tokens = data / "tokens_cranfield.npz"
    words = f"E12={tokens}:doc_tok,doc_off", "--queries", f"E12={tokens}:q_tok,q_off"
    result = cli("eval", "tokens", *words, "--qrels", f"{tokens}:qrels", "--limits", *cut)
    assert result.code == 0, result.err


def test_a_nan_names_its_memory(cli, work, models, tmp_path):
    with np.load(work / "corpus.npz") as corpus:
        arrays = {name: corpus[f"E12.{name}"] for name in ("values", "offsets", "rows")}
    arrays["values"][arrays["offsets"][4], 1] = np.nan
    np.savez(tmp_path / "nan.npz", **arrays)
    inputs = f"E12={tmp_path}/nan.npz:values,offsets@rows"
    result = cli("eval", "tokens", inputs, "--queries", inputs, *models[-2:])
    assert result.code == 3
    assert f"(memory {arrays['rows'][4]} of E12)" in result.err
