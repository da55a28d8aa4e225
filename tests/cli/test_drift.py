"""`drift`: the same kind of embeddings passes, another kind exits with 1."""

import json
import shutil

import numpy as np
import pytest

from cgcython.store import RecordStore
from cgcython.store.quality import QUALITY


@pytest.fixture
def drift(cli, work):
    def run(source, *words):
        return cli("drift", f"E1={source}", "--models", work / "models", *profile(work), *words)

    return run


def profile(work):
    return "--profile", work / "profile.toml"


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(1).standard_normal((200, 32)).astype(np.float32))
    return path


def test_embeddings_of_the_same_kind_have_not_drifted(drift, work):
    result = drift(work / "train.npz", "--json")
    assert result.code == 0
    assert result.json["E1"]["drifted"] is False
    low, high = result.json["E1"]["interval"]
    assert low <= result.json["E1"]["loss"] <= high


def test_embeddings_of_another_kind_exit_with_one_and_the_remedy(drift, noise):
    result = drift(noise)
    assert result.code == 1
    assert result.out.splitlines()[1].endswith("yes")
    assert "train on the new embeddings" in result.err


def test_a_wide_tolerance_lets_them_pass(drift, noise):
    assert drift(noise, "--tolerance", 1000).code == 0


@pytest.mark.parametrize("words", [("--tolerance", "-1"), ("--tolerance", "x")])
def test_a_tolerance_below_zero_is_a_usage_error(drift, work, words):
    assert drift(work / "train.npz", *words).code == 2


def test_embedders_without_codebooks_are_a_usage_error(cli, work):
    models = "--models", work / "models"
    result = cli("drift", f"E8={work / 'corpus.npz'}:E8", *models, *profile(work))
    assert (result.code, "knows no training" in result.err) == (2, True)


def test_a_missing_codebook_exits_with_four(cli, work, tmp_path):
    result = cli("drift", f"E1={work / 'train.npz'}", "--models", tmp_path, *profile(work))
    assert result.code == 4


@pytest.fixture
def store(work, tmp_path):
    return shutil.copytree(work / "store", tmp_path / "store")


def sampled(store, loss, spread, session, trained):
    """Write the samples of one session: 100 of E1 with a loss."""
    losses = loss + spread * np.random.default_rng(session).standard_normal(100)
    sums = {"total": losses.sum(), "squares": (losses**2).sum(), "codebook_id": 7}
    told = {"encoded": 900, "samples": 100, **sums, "trained_loss": trained, "similarity": 0.5}
    row = {"records": {"E1": told}, "queries": {"E1": {**told, "trained_loss": None}}}
    key = QUALITY + (10**15 + session).to_bytes(8, "big")
    with RecordStore.open(store) as opened:
        for one, _ in list(opened._keeper.files.scan("meta", QUALITY)) if not session else []:
            opened._keeper.files.write(deletes=[("meta", one)])
        opened._keeper.files.write([("meta", key, json.dumps(row).encode())])


def test_a_store_whose_samples_stay_has_not_drifted(cli, store):
    for session in range(5):
        sampled(store, 0.04, 0.01, session, 0.04)
    result = cli("drift", "--store", store, "--json")
    assert result.code == 0
    kinds = [(one["kind"], one["embedder"], one["drifted"]) for one in result.json]
    assert kinds == [("records", "E1", False), ("queries", "E1", False)]
    assert result.json[0]["expected"] == 0.04
    assert result.json[1]["expected"] == pytest.approx(0.04, abs=0.005)
    assert (result.json[1]["samples"], result.json[1]["earlier_samples"]) == (100, 400)


def test_a_store_whose_newest_samples_lose_more_exits_with_one(cli, store):
    for session in range(5):
        sampled(store, 0.08 if session == 4 else 0.04, 0.01, session, 0.04)
    result = cli("drift", "--store", store)
    assert result.code == 1
    assert [line.split()[-1] for line in result.out.splitlines()[1:]] == ["yes", "yes"]
    assert "E1 (records), E1 (queries): train on the new embeddings" in result.err
    assert cli("drift", "--store", store, "--tolerance", 2).code == 0


def test_a_store_of_few_samples_says_nothing_rash(cli, store):
    result = cli("drift", "--store", store)
    assert (result.code, result.out.count("yes")) == (0, 0)
    assert {line.split()[0] for line in result.out.splitlines()[1:]} == {"E1", "E6", "E8", "E12"}


@pytest.mark.parametrize("words", [[], ["E1=x.npy"], ["--store", "x", "--models", "y"]])
def test_inputs_or_a_store_are_needed(cli, words):
    result = cli("drift", *words)
    assert (result.code, "drift" in result.err) == (2, True)
