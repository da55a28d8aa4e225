"""Commands with embedders that users named: from training to a search, and their errors."""

import numpy as np
import pytest

PROFILE = """
minilm = { dimension = 32, method = "pq8", bytes = 16 }
"bge-v1.5" = { dimension = 32, method = "float8_e4m3" }
tok = { dimension = 8, method = "token_pruning" }
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((20, 32))
    rows = centres[rng.integers(0, 20, 400)] + 0.1 * rng.standard_normal((400, 32))
    rows = rows.astype(np.float32)
    tokens = rng.standard_normal((800, 8)).astype(np.float32)
    np.save(tmp_path / "rows.npy", rows)
    others = {"tok.values": tokens, "tok.offsets": np.arange(0, 801, 2), "bge-v1.5": rows}
    np.savez(tmp_path / "others.npz", **others)
    np.savez(tmp_path / "queries.npz", **{"minilm": rows[:2], "bge-v1.5": rows[:2]})
    (tmp_path / "mine.toml").write_text(PROFILE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


HOW = "--models", "models", "--profile", "mine.toml"


def test_a_codebook_has_the_bytes_of_the_row(cli, here):
    result = cli("train", "minilm", "--input", "rows.npy", *HOW, "--force", "--json")
    assert result.json["bytes"] == 16
    assert (here / "models/pq8_codebooks/minilm_codebook.safetensors").exists()
    result = cli("train", "minilm", "--input", "rows.npy", *HOW, "--bytes", 8)
    assert result.code == 2
    assert "the profile has 16 bytes for minilm, not 8" in result.err


def test_the_command_for_a_missing_codebook_has_the_name(cli, here):
    result = cli("encode", "minilm=rows.npy", "--out", "out", *HOW)
    assert result.code == 4
    command = "train minilm --input minilm=rows.npy --models models --profile mine.toml"
    assert command in " ".join(result.err.split())


@pytest.mark.parametrize("place", ["--out", "--store"])
def test_names_stand_in_tables_and_scores(cli, here, place):
    cli("train", "minilm", "--input", "rows.npy", *HOW, "--force")
    result = cli("encode", "minilm=rows.npy", "others.npz", place, "kept", *HOW, "--json")
    assert result.code == 0, result.err
    found = cli("search", "queries.npz", "--store", "kept", "-k", 1, "--embedders", "minilm")
    assert found.out.split("\n")[0].split()[-1] == "minilm"
    told = cli("inspect", "kept", "--json").json
    assert {part["embedder"] for part in told["parts"]} == {"minilm", "bge-v1.5", "tok"}
    assert cli("decode", "kept", "--out", "back.npz", "--embedders", "bge-v1.5").code == 0
    assert np.load("back.npz")["bge-v1.5"].shape == (400, 32)
    wrong = cli("search", "queries.npz", "--store", "kept", "--embedders", "minlm")
    assert (wrong.code, "have no minlm" in wrong.err) == (2, True)
