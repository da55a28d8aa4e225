"""Commands take an address wherever they take the folder of a store, and print the same."""

import json

import numpy as np
import pytest
from keepers.contract.cases import KEEPERS
from store.copies import fill

from cgcython.base import ModelId
from cgcython.cli import main
from cgcython.search import FingerprintStore

pytestmark = pytest.mark.keepers
SERVERS = [one for one in ("cql", "postgres") if one in KEEPERS]
SAME = [
    ["get", "STORE", "6"],
    ["get", "STORE", "6", "--json"],
    ["search", "E9=QUERY", "--store", "STORE", "--json"],
    ["search", "E9=QUERY", "--store", "STORE", "--where", '{"n": {"$lt": 9}}', "--json"],
    ["verify", "STORE", "--json"],
]


@pytest.fixture
def cli(capsys):
    """Return a function that runs a command and returns what it prints."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return run


@pytest.fixture(params=SERVERS)
def both(request, cli, memories, tmp_path):
    """Return a store in a folder, and its copy on a server."""
    place = request.getfixturevalue(f"{request.param}_place")()
    fill(tmp_path / "store", memories, 60, trashed=6)
    cli("store", "copy", tmp_path / "store", place)
    return tmp_path / "store", place


def test_commands_print_the_same(both, cli, memories, tmp_path):
    np.save(tmp_path / "query.npy", [memories.make(3)["E9"]])
    for words in SAME:
        found = [
            cli(
                *(
                    one.replace("QUERY", f"{tmp_path}/query.npy").replace("STORE", str(place))
                    for one in words
                )
            )
            for place in both
        ]
        assert found[0].replace(str(both[0]), "") == found[1].replace(both[1], ""), words


def test_commands_look_after_a_store(both, cli, memories, tmp_path):
    _, place = both
    exact = json.loads(cli("store", "stats", place, "--exact", "--json"))
    assert (exact["records"], exact["trashed"]) == (55, 6)
    assert "codebooks of E1" in cli("store", "stats", place)
    assert "cgcython_store_records" in cli("store", "stats", place, "--prometheus")
    memories.codebooks[ModelId.SEMANTIC].save(
        tmp_path / "models/pq8_codebooks/Semantic_codebook.safetensors"
    )
    moved = json.loads(
        cli("store", "reencode", place, "E1", "--models", tmp_path / "models", "--json")
    )
    assert moved["records_moved"] > 20
    cli("delete", place, "6", "--yes")
    cli("delete", place, "6", "--restore")
    assert json.loads(cli("store", "purge", place, "--json")) == {"records_purged": 6}
    cli("store", "compact", place)
    cli("decode", place, "--out", tmp_path / "arrays.npz", "--embedders", "E9")
    cli("inspect", place)
    with FingerprintStore.open(place) as store:
        assert len(store) == 55
        assert 6 in store
        assert store.trash() == {}
    np.savez(tmp_path / "more.npz", E9=[memories.make(8)["E9"]], ids=[1000])
    cli("encode", tmp_path / "more.npz", "--store", place)
    with FingerprintStore.open(place) as store:
        assert 1000 in store
