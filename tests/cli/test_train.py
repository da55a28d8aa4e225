"""`train`: a codebook on disk, or a reason and nothing."""

import numpy as np
import pytest

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_base import Codebook

PATH = "pq8_codebooks/Semantic_codebook.safetensors"


@pytest.fixture
def train(cli, work, tmp_path):
    def run(*words, target=tmp_path, source=work / "train.npz"):
        place = "--models", target, "--profile", work / "profile.toml", "--bytes", 8
        return cli("train", "E1", "--input", source, *place, *words)

    return run


def test_writes_the_codebook_and_says_what_it_loses(train, tmp_path):
    result = train("--json")
    book = PQ8Codebook.load(tmp_path / PATH)
    assert result.json["codebook_id"] == book.codebook_id
    assert result.json["held_out_loss"] == book.metadata["held_out_loss"] < 0.05
    assert (result.json["bytes"], result.json["samples"]) == (8, 600)


def test_few_samples_warn_in_one_line(train):
    err = train().err
    assert err.startswith("cgcython: warning: 600 samples are few")
    assert err.count("\n") == 1


def test_threads_never_change_the_codebook(train, tmp_path):
    ids = [train("--json", "--threads", n).json["codebook_id"] for n in (1, 3)]
    assert ids[0] == ids[1]


def test_a_sample_is_some_of_the_rows(train):
    facts = train("--json", "--sample", 300).json
    assert (facts["samples"], facts["samples_given"]) == (300, 600)
    assert "of 300 (drawn from 600)" in " ".join(train("--sample", 300).out.split())


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).standard_normal((300, 32)).astype(np.float32))
    return path


def test_a_codebook_over_its_limit_is_refused_and_not_written(train, noise, tmp_path):
    result = train(source=noise)
    assert result.code == 1
    assert "EMB-E012" in result.err
    assert "--force" in result.err
    assert not (tmp_path / PATH).exists()


def test_refused_additive_codes_name_the_method_of_more_bytes(train, noise):
    result = train("--method", "rq8", source=noise)
    assert (result.code, "with --method pq8 and more bytes" in result.err) == (1, True)


def test_force_keeps_it_and_says_what_is_lost(train, noise, tmp_path):
    result = train("--force", source=noise)
    assert result.code == 0
    assert "the limit is 5 %" in result.err.replace("5%", "5 %")
    assert (tmp_path / PATH).exists()


def test_too_few_samples_are_bad_data(train, tmp_path):
    np.save(tmp_path / "few.npy", np.ones((255, 32), np.float32))
    result = train(source=tmp_path / "few.npy")
    assert result.code == 3
    assert "256 or more" in result.err


def test_another_dimension_is_bad_data(train, tmp_path):
    np.save(tmp_path / "wide.npy", np.ones((300, 40), np.float32))
    assert train(source=tmp_path / "wide.npy").code == 3


def test_nan_is_bad_data(train, tmp_path):
    rows = np.ones((300, 32), np.float32)
    rows[7, 1] = np.nan
    np.save(tmp_path / "nan.npy", rows)
    result = train(source=tmp_path / "nan.npy")
    assert result.code == 3
    assert "value 225 is nan" in result.err
    assert "(row 7)" in result.err


@pytest.mark.parametrize("words", [["E8"], ["E99"]])
def test_only_pq_embedders_are_trained(cli, work, words):
    place = "--models", work / "models", "--profile", work / "profile.toml"
    assert cli("train", *words, "--input", work / "train.npz", *place).code == 2


def test_auto_takes_the_fewest_bytes_under_the_limit(train, work, tmp_path):
    result = train("--json", "--bytes", "auto", "--rotation", "pca").json
    fitting = [one for one in result["trials"] if one["held_out_loss"] <= 0.05]
    assert result["bytes"] == fitting[0]["num_subvectors"] == 8
    tried = [one["bytes"] for one in result["trials"] if one["method"] == "pq8"]
    assert (tried, "profile_row" in result) == ([8, 16, 32], False)


def test_auto_prints_what_each_size_costs(train):
    lines = train("--bytes", "auto", "--rotation", "none").out.splitlines()
    assert lines[0].split()[:3] == ["method", "bytes", "loss"]
    assert lines[1].endswith("yes")
    assert lines[2].endswith("-")
    tried = {line.split()[0] for line in lines[1:9]}
    assert tried == {"pq8", "scalar", "float8_e4m3"}


def test_judged_queries_decide_where_they_are_given(train, work):
    docs, queries = (f"E1={work / name}:E1" for name in ("corpus.npz", "queries.npz"))
    judged = "--judged", docs, "--queries", queries, "--qrels", work / "qrels.npy"
    facts = train("--json", "--bytes", "auto", "--rotation", "none", *judged).json
    assert facts["recall10_drop"] == facts["judged"]["recall10"]["drop"] <= 0.05
    assert all(len(facts["judged"][what]["interval"]) == 2 for what in ("ndcg10", "recall10"))
    fitting = [one for one in facts["trials"] if one["recall10_drop"] <= 0.05]
    assert facts["bytes"] == min(one["bytes"] for one in fitting if one["method"] == "pq8")


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_sizes_are_drawn(train, tmp_path, suffix):
    path = tmp_path / f"sizes.{suffix}"
    assert train("--bytes", "auto", "--rotation", "none", "--plot", path).code == 0
    assert path.stat().st_size > 5000


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--plot", "sizes.png"), "--bytes auto"), (("--bytes", "auto", "--plot", "a.txt"), ".png")],
)
def test_what_cannot_be_drawn_is_a_usage_error(train, words, told):
    result = train(*words)
    assert (result.code, told in result.err) == (2, True)


def test_half_a_judgement_is_a_usage_error(train, work):
    result = train("--qrels", work / "qrels.npy")
    assert (result.code, "belong together" in result.err) == (2, True)


def test_judgements_of_nothing_are_a_usage_error(train, work, tmp_path):
    np.save(tmp_path / "none.npy", np.empty((0, 3), np.int64))
    docs, queries = (f"E1={work / name}:E1" for name in ("corpus.npz", "queries.npz"))
    result = train("--judged", docs, "--queries", queries, "--qrels", tmp_path / "none.npy")
    assert (result.code, "judge no query" in result.err) == (2, True)


def test_another_method_that_needs_fewer_bytes_is_told_as_a_row(cli, tmp_path):
    rows, profile = tmp_path / "rows.npy", tmp_path / "profile.toml"
    np.save(rows, np.random.default_rng(0).standard_normal((300, 296)).astype(np.float32))
    profile.write_text('E1 = { dimension = 296, method = "pq8", metric = "dot" }')
    place = "--models", tmp_path, "--profile", profile, "--rotation", "none"
    words = "train", "E1", "--input", rows, "--bytes", "auto", *place
    row = 'E1_Semantic = { dimension = 296, method = "scalar", bits = 4, metric = "dot" }'
    refused = cli(*words)
    assert (refused.code, "chosen" in refused.out) == (1, True)
    assert f"(with this row in the profile: {row}, or --force)" in refused.err
    result = cli(*words, "--force")
    assert "pq8, loss" in result.out
    assert "scalar needs fewer bytes for the same limit" in " ".join(result.out.split())
    assert result.out.splitlines()[-1] == row


def test_additive_codes_are_trained_and_their_row_is_told(train, tmp_path):
    result = train("--method", "rq8", "--force")
    assert result.out.splitlines()[-1].endswith('method = "rq8", bytes = 8 }')
    book = Codebook.load(tmp_path / PATH)
    assert (book.method.value, book.code_size) == ("rq8", 8)
    refused = train("--method", "rq8", "--bytes", "32")
    assert (refused.code, "rq8 has 8, 16, 24 bytes, not 32" in refused.err) == (2, True)
    assert "or --method pq8" in refused.err
    refused = train("--method", "rq8", "--rotation", "pca")
    assert (refused.code, "leave it out to train rq8" in refused.err) == (2, True)


def test_sizes_that_do_not_exist_are_usage_errors(train):
    result = train("--bytes", "9")
    assert (result.code, "expected auto, 8, 16" in result.err) == (2, True)


@pytest.fixture
def several(cli, work, tmp_path):
    profile = tmp_path / "profile.toml"
    row = 'dimension = {}, method = "pq8", bytes = 8'
    rows = 'E1 = { %s }\nE4 = { %s }\nE8 = { dimension = 4, method = "float8_e4m3" }'
    profile.write_text(rows % (row.format(32), row.format(40)))
    noise = np.random.default_rng(0).standard_normal((300, 40))
    np.savez(tmp_path / "both.npz", E1=np.load(work / "train.npz")["E1"], E4=noise)
    np.save(tmp_path / "noise.npy", noise)

    def run(*words, embedders="E1,E4", inputs=("both.npz",)):
        found = (one if "=" in one else tmp_path / one for one in inputs)
        place = "--models", tmp_path, "--profile", profile, "--rotation", "none"
        return cli("train", embedders, "--input", *found, *place, *words)

    return run


def test_several_embedders_get_a_codebook_each(several, train, tmp_path):
    first, second = several("--json", "--force").json
    assert (first["path"], second["path"]) == tuple(
        str(tmp_path / f"pq8_codebooks/{name}_codebook.safetensors")
        for name in ("Semantic", "TemporalPositional")
    )
    assert train("--json", "--rotation", "none").json["codebook_id"] == first["codebook_id"]


def test_one_that_is_refused_costs_no_other(several, tmp_path):
    result = several(embedders="E4,E1")
    assert (result.code, "embedder E4: [EMB-E012]" in result.err) == (1, True)
    assert "E1: 8 bytes per embedding" in result.out
    assert (tmp_path / PATH).exists()
    noise = f"E4={tmp_path / 'noise.npy'}"
    assert several("--force", inputs=("both.npz", noise)).code == 0


def test_inputs_of_all_embedders_are_opened_before_one_is_trained(several, tmp_path):
    for name, told in (("gone.npy", "gone.npy"), ("noise.npy", "expected 32 values, got 40")):
        result = several(embedders="E4,E1", inputs=("both.npz", f"E1={tmp_path / name}"))
        assert (result.code, result.out, told in result.err) == (3, "", True)


@pytest.mark.parametrize(
    ("words", "embedders", "inputs", "told"),
    [
        ((), "E1,E4", ("both.npz", "noise.npy"), "2 files that may be of E1"),
        ((), "E1,E8", ("both.npz",), "E8 is kept as float8_e4m3"),
        (("--plot", "a.svg"), "E1,E4", ("both.npz",), "sizes of one embedder"),
        (("--judged", "a", "--queries", "b", "--qrels", "c"), "E1,E4", ("both.npz",), "--judged"),
        (("--workers", "2"), "E1,E4", ("both.npz",), "--workers is for --scheduler"),
    ],
)
def test_what_several_embedders_cannot_share_is_a_usage_error(
    several, words, embedders, inputs, told
):
    result = several(*words, embedders=embedders, inputs=inputs)
    assert (result.code, told in result.err) == (2, True)
    assert result.out == ""
