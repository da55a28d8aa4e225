"""`drift`: the same kind of embeddings passes, another kind exits with 1."""

import numpy as np
import pytest


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
