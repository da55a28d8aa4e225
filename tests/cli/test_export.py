"""`export` writes what a store holds, and other programs and `encode` read it."""

import sys
from uuid import UUID

import numpy as np
import pytest

from cgcython import FingerprintStore, open_corpus
from cgcython.corpus import exporting
from cgcython.errors import StorageCorruption

pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def export(cli, work, tmp_path, monkeypatch):
    """Return a function that exports the store in chunks of 7 and gives the file's path."""
    monkeypatch.setattr(exporting, "CHUNK", 7)

    def run(suffix, *words, store=work / "store"):
        out = tmp_path / f"out{suffix}"
        result = cli("export", store, "--out", out, *words)
        assert result.code == 0, result.err
        return out

    return run


@pytest.fixture
def described(tmp_path):
    """Return a store of three memories with metadata."""
    with FingerprintStore.open(tmp_path / "described") as store:
        for number in range(3):
            metadata = {"year": 2000 + number, "lang": "en", "odd": [number], "E8": True}
            store.store(UUID(int=number), {"E8": np.ones(384)}, metadata=metadata)
        store.store(UUID(int=9), {"E9": np.ones(1024)}, metadata={"score": 1.5})
    return tmp_path / "described"


def test_an_npz_is_what_decode_writes(cli, export, work, tmp_path):
    assert cli("decode", work / "store", "--out", tmp_path / "decoded.npz").code == 0
    exported, decoded = np.load(export(".npz")), np.load(tmp_path / "decoded.npz")
    assert set(exported) == set(decoded)
    for name in decoded:
        np.testing.assert_array_equal(exported[name], decoded[name], err_msg=name)


def test_an_npz_is_encoded_again(cli, export, work, models, tmp_path):
    out = export(".npz")
    assert cli("encode", out, *models, "--store", tmp_path / "again").code == 0
    assert cli("store", "stats", tmp_path / "again", "--json").json["records"] == 40


def test_parquet_has_a_row_for_each_memory(export, work):
    table = pq.read_table(export(".parquet")).to_pydict()
    assert list(table) == ["id", "E1", "E6", "E8", "E12"]
    place = table["id"].index(3)
    corpus = open_corpus(work / "corpus.npz", work / "profile.toml").fingerprints(3, 4)[0]
    e6, e8 = corpus[list(corpus)[1]], corpus[list(corpus)[2]]
    np.testing.assert_array_equal(table["E6"][place]["indices"], e6.indices)
    np.testing.assert_allclose(table["E6"][place]["weights"], e6.weights, rtol=1e-3)
    np.testing.assert_allclose(table["E8"][place], e8, rtol=0.07, atol=1e-2)
    assert table["E12"][place] is None
    other = table["E12"][table["id"].index(4)]
    assert len(other[0]) == 16


def test_metadata_are_columns(export, described):
    table = pq.read_table(export(".parquet", store=described)).to_pydict()
    assert table["year"] == [2000, 2001, 2002, None]
    assert table["score"] == [None, None, None, 1.5]
    assert table["odd"] == ["[0]", "[1]", "[2]", None]
    assert table["metadata.E8"] == [True, True, True, None]
    assert [one is None for one in table["E8"]] == [False, False, False, True]


def test_metadata_stand_in_an_npz_too(cli, export, described):
    out = export(".npz", store=described)
    assert np.load(out)["metadata"][3] == b'{"score": 1.5}'
    assert len(open_corpus(out).ids) == 4


@pytest.mark.parametrize("ids", [[3, -4], ["a", "doc-5"], [UUID(int=4), "5", 5, 2**64 - 1]])
def test_ids_of_every_kind_come_back(cli, export, tmp_path, ids):
    with FingerprintStore.open(tmp_path / "mixed") as store:
        store.store_many((one, {"E9": np.ones(1024)}) for one in ids)
    out = export(".npz", store=tmp_path / "mixed")
    assert cli("encode", out, "--store", tmp_path / "again").code == 0
    with FingerprintStore.open(tmp_path / "again") as store:
        assert set(store) == set(ids)
    table = pq.read_table(export(".parquet", store=tmp_path / "mixed"))
    assert sorted(map(str, table["id"].to_pylist())) == sorted(map(str, ids))


def test_what_is_written_is_chosen(export, described):
    words = "--embedders", "E8", "--where", '{"year": {"$gt": 2000}}'
    table = pq.read_table(export(".parquet", *words, store=described)).to_pydict()
    assert table["year"] == [2001, 2002]
    assert "E9" not in table


def test_mistakes_are_told_before_any_work(cli, work, tmp_path, monkeypatch):
    out = tmp_path / "x.npz"
    assert "expected a file ending in" in cli("export", work / "store", "--out", "x.csv").err
    told = cli("export", work / "store", "--out", out, "--embedders", "E9")
    assert "no memory has E9; they have E1, E6, E8, E12" in told.err
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    told = cli("export", work / "store", "--out", tmp_path / "x.parquet")
    assert "pip install 'cgcython[arrow]'" in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_an_export_that_fails_leaves_nothing(cli, work, tmp_path, monkeypatch, suffix):
    def fails(*_):
        raise StorageCorruption(where="record 7", reason="test")

    monkeypatch.setattr(FingerprintStore, "retrieve_many", fails)
    assert cli("export", work / "store", "--out", tmp_path / f"x{suffix}").code == 5
    assert list(tmp_path.iterdir()) == []
