"""`get` shows one memory: what was encoded, when, and what its owner says of it."""

import numpy as np
import pytest

from cgcython import FingerprintStore

ID = "0"


@pytest.fixture
def got(cli, work):
    """Return a function that runs `get` on the store."""
    return lambda *words: cli("get", work / "store", *words)


def test_all_embeddings_come_back(got, work):
    facts = got(ID, "--json").json
    assert facts["id"] == 0
    assert list(facts["embeddings"]) == ["E1", "E6", "E8", "E12"]
    e8 = np.load(work / "corpus.npz")["E8"][0]
    np.testing.assert_allclose(facts["embeddings"]["E8"], e8, rtol=0.07)
    assert len(facts["embeddings"]["E12"][0]) == 16
    assert facts["embeddings"]["E6"]["dimension"] == 1000


def test_one_embedder_is_asked_for(got):
    assert list(got(ID, "--json", "--embedder", "E8").json["embeddings"]) == ["E8"]
    refused = got(ID, "--embedder", "E9")
    assert refused.code == 2
    assert "has no E9; it has E1, E6, E8, E12" in refused.err


def test_the_table_shows_how_embeddings_begin(got):
    lines = got(ID).out.splitlines()
    assert "metadata: {}" in lines
    assert [line.split()[0] for line in lines[-4:]] == ["E1", "E6", "E8", "E12"]
    assert lines[-2].split()[1] == "24"


def test_metadata_is_shown(cli, tmp_path):
    with FingerprintStore.open(tmp_path / "store") as store:
        store.store(0, {"E8": np.ones(384)}, metadata={"lang": "en"})
    assert cli("get", tmp_path / "store", ID, "--json").json["metadata"] == {"lang": "en"}


def test_an_unknown_id_exits_with_three(got):
    result = got("00000000-0000-0000-0000-000000000001")
    assert result.code == 3
    assert result.out == ""
    assert result.err.endswith("has no record 00000000-0000-0000-0000-000000000001\n")
