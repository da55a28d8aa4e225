"""`migrate`: a legacy database or folder of arrays becomes a store; what cannot is listed by id."""

import shutil
from uuid import UUID

import numpy as np
import pytest
from legacy import legacy_value, write_legacy

from cgcython.base import ModelId, Profile
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.corpus.memory_ids import row_uuid
from cgcython.corpus.opening import open_corpus
from cgcython.store import RecordStore

COUNT = 40


@pytest.fixture
def corpus(work):
    """Return the ids and embeddings of the corpus that `encode` stored."""
    found = open_corpus([str(work / "corpus.npz")], Profile.named(str(work / "profile.toml")))
    return dict(zip(map(row_uuid, range(COUNT)), found.fingerprints(0, COUNT)))


@pytest.fixture
def old(tmp_path, corpus):
    """Return a legacy database of the corpus."""
    write_legacy(tmp_path / "old", values_of(corpus))
    return tmp_path / "old"


@pytest.fixture
def move(cli, models):
    return lambda *words: cli("migrate", *words, *models, "--json")


def values_of(corpus):
    return {
        (model_id, key): legacy_value(embedding)
        for key, embeddings in corpus.items()
        for model_id, embedding in embeddings.items()
    }


def records(path):
    """Return the encoded embeddings of each memory by its row number."""
    rows = {UUID(bytes=row_uuid(row)): row for row in range(COUNT)}
    with RecordStore.open(path, read_only=True) as store:
        return {rows.get(one, one): dict(store.quantized(one).items()) for one in store}


def test_a_database_becomes_the_store_that_encode_makes(move, work, old, tmp_path):
    result = move(old, "--store", tmp_path / "s")
    assert result.code == 0
    assert (result.json["migrated"], result.json["failed"]) == (COUNT, {})
    assert records(tmp_path / "s") == records(work / "store")


def test_the_loss_is_that_of_eval(cli, move, work, old, tmp_path):
    loss = move(old, "--store", tmp_path / "s", "--loss-every", 1).json["loss"]
    words = "--queries", work / "queries.npz", "--store", work / "store", "--json"
    rows = cli("eval", work / "corpus.npz", *words).json["rows"]
    for row in rows[:-1]:
        told = loss[row["embedder"]]
        assert told.pop("samples") == row["memories"]
        assert told == pytest.approx(row["loss"], abs=1e-6)


def test_a_dry_run_tells_the_sizes_and_writes_nothing(cli, models, old, tmp_path):
    result = cli("migrate", old, "--store", tmp_path / "s", "--dry-run", *models)
    assert result.code == 0
    assert f"{COUNT} memories would be migrated" in result.out
    assert "bytes each" in result.out
    assert not (tmp_path / "s").exists()


def test_a_dry_run_leaves_a_store_as_it_is(move, old, tmp_path):
    move(old, "--store", tmp_path / "s")
    result = move(old, "--store", tmp_path / "s", "--dry-run")
    assert (result.json["migrated"], result.json["already_there"]) == (0, COUNT)


def test_a_store_with_records_needs_resume(move, old, tmp_path):
    move(old, "--store", tmp_path / "s")
    result = move(old, "--store", tmp_path / "s")
    assert result.code == 5
    assert "resume" in result.err
    assert move(old, "--store", tmp_path / "s", "--resume").json["already_there"] == COUNT


def test_a_store_without_records_is_migrated_into(move, old, work, tmp_path):
    RecordStore.open(tmp_path / "s", profile=str(work / "profile.toml")).close()
    assert move(old, "--store", tmp_path / "s").json["migrated"] == COUNT


def test_a_failed_first_run_leaves_no_store(move, corpus, tmp_path):
    values = values_of(corpus)
    write_legacy(tmp_path / "good", values)
    values[ModelId.GRAPH, min(corpus)] = b"bad"
    write_legacy(tmp_path / "bad", values)
    assert move(tmp_path / "bad", "--store", tmp_path / "s", "--strict").code == 3
    assert not (tmp_path / "s").exists()
    assert move(tmp_path / "good", "--store", tmp_path / "s").json["migrated"] == COUNT


def test_a_refused_run_leaves_a_store_its_codebooks(cli, move, work, old, tmp_path):
    move(old, "--store", tmp_path / "s")
    book = PQ8Codebook.load(work / "models/pq8_codebooks/Semantic_codebook.safetensors")
    other = PQ8Codebook(book.centroids + 1, book.rotation, book.mean)
    other.save(tmp_path / "models/pq8_codebooks/Semantic_codebook.safetensors")
    words = "--store", tmp_path / "s", "--models", tmp_path / "models"
    assert cli("migrate", tmp_path / "nothing", *words).code == 2
    with RecordStore.open(tmp_path / "s", read_only=True) as store:
        assert store.statistics().codebooks[ModelId.SEMANTIC] == [book.codebook_id]


def test_bad_memories_are_listed_and_exit_with_3(move, corpus, tmp_path):
    values, bad = values_of(corpus), sorted(corpus)[4]
    values[ModelId.GRAPH, bad] = b"\0\0\xc0\x7f" * 24
    write_legacy(tmp_path / "bad", values, ["notes"])
    result = move(tmp_path / "bad", "--store", tmp_path / "s")
    assert result.code == 3
    assert list(result.json["failed"]) == [str(UUID(bytes=bad))]
    assert result.json["ignored_families"] == ["notes"]
    assert "E8 Graph: value 0 is nan" in result.err
    assert len(records(tmp_path / "s")) == COUNT - 1
    write_legacy(tmp_path / "worse", values)
    result = move(tmp_path / "worse", "--store", tmp_path / "t", "--strict")
    assert (result.code, result.out) == (3, "")
    assert str(UUID(bytes=bad)) in result.err


def test_strict_refuses_unknown_families_unless_they_are_mapped(move, corpus, tmp_path):
    values = {key: value for key, value in values_of(corpus).items() if key[0] is ModelId.GRAPH}
    write_legacy(tmp_path / "old", values, ["notes"], {ModelId.GRAPH: "edges"})
    words = tmp_path / "old", "--store", tmp_path / "s", "--family", "E8=edges"
    result = move(*words, "--strict")
    assert (result.code, result.out) == (3, "")
    assert "notes" in result.err
    assert move(*words).json["migrated"] == COUNT


def test_in_place_the_database_is_kept_until_it_may_go(cli, move, old, work, tmp_path):
    result = move(old, "--store", old)
    assert result.code == 0
    kept = result.json["legacy"]
    assert kept.startswith(f"{old}.legacy-")
    assert records(old) == records(work / "store")
    again = move(old, "--store", old, "--delete-source")
    assert again.code == 0
    assert f"deleted {kept}" in again.err
    assert [one.name for one in tmp_path.iterdir()] == ["old"]
    assert cli("verify", old).code == 0


def test_a_legacy_database_with_bad_memories_is_not_deleted(move, corpus, tmp_path):
    values = values_of(corpus)
    values[ModelId.GRAPH, sorted(corpus)[0]] = b"bad"
    write_legacy(tmp_path / "old", values)
    for code, words in ((3, ()), (5, ())):
        result = move(tmp_path / "old", "--store", tmp_path / "old", "--delete-source", *words)
        assert result.code == code
        assert len(list(tmp_path.glob("old.legacy-*"))) == 1
    assert "it lacks the legacy memory" in result.err


def test_a_dry_run_in_place_changes_nothing(move, old, tmp_path):
    before = sorted(one.name for one in tmp_path.rglob("*"))
    assert move(old, "--store", old, "--dry-run").json["legacy"] is None
    assert sorted(one.name for one in tmp_path.rglob("*")) == before


def test_only_migrations_in_place_delete(move, old, tmp_path):
    assert move(old, "--store", tmp_path / "s", "--delete-source").code == 2


def test_a_missing_codebook_names_the_command(cli, old, work, tmp_path):
    place = "--models", tmp_path / "none", "--profile", work / "profile.toml"
    result = cli("migrate", old, "--store", tmp_path / "s", *place)
    assert result.code == 4
    assert "cgcython train E1" in result.err
    assert not (tmp_path / "s").exists()


def test_codebooks_are_trained_on_the_source(cli, work, tmp_path, few_steps):
    with np.load(work / "train.npz") as data:
        rows = data["E1"]
    values = {
        (ModelId.SEMANTIC, bytes(12) + i.to_bytes(4)): legacy_value(rows[i]) for i in range(600)
    }
    write_legacy(tmp_path / "old", values)
    words = "--models", tmp_path / "books", "--profile", work / "profile.toml", "--json"
    result = cli("migrate", tmp_path / "old", "--store", tmp_path / "s", "--train", *words)
    assert result.code == 0
    assert result.json["migrated"] == 600
    assert result.json["loss"]["E1"]["mean"] < 0.05
    assert list((tmp_path / "books" / "pq8_codebooks").iterdir())
    assert cli("migrate", tmp_path / "old", "--store", tmp_path / "t", "--train").code == 2


def test_a_folder_of_columns_migrates(move, work, tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    with np.load(work / "corpus.npz") as data:
        np.save(folder / "E1.npy", data["E1"])
        np.save(folder / "graph.npy", data["E8"])
        sparse = {name: data[f"E6.{name}"] for name in ("indptr", "indices", "weights")}
        np.savez(folder / "E6.npz", **sparse)
        np.savez(folder / "rest.npz", **{one: data[one] for one in data.files if "E12" in one})
    result = move(folder, "--store", tmp_path / "s")
    assert (result.code, result.json["migrated"]) == (0, COUNT)
    assert records(tmp_path / "s") == records(work / "store")
    assert move(folder, "--store", tmp_path / "s", "--resume").json["already_there"] == COUNT


def test_a_bad_row_of_a_column_is_listed(move, tmp_path):
    (tmp_path / "arrays").mkdir()
    rows = np.ones((20, 24), np.float32)
    rows[13, 3] = np.inf
    np.save(tmp_path / "arrays" / "E8.npy", rows)
    np.save(tmp_path / "arrays" / "ids.npy", [str(UUID(int=i)) for i in range(20)])
    result = move(tmp_path / "arrays", "--store", tmp_path / "s")
    assert (result.code, result.json["migrated"]) == (3, 19)
    assert list(result.json["failed"]) == [str(UUID(int=13))]


@pytest.fixture
def files(corpus, tmp_path):
    """Return a folder with a file for each memory."""
    folder = tmp_path / "files"
    folder.mkdir()
    for key, embeddings in corpus.items():
        arrays = {}
        for model_id, one in embeddings.items():
            if model_id is ModelId.SPARSE:
                arrays |= {"E6.indices": one.indices, "E6.weights": one.weights}
            else:
                arrays[model_id.short] = one
        np.savez(folder / f"{UUID(bytes=key)}.npz", **arrays)
    return folder


def test_a_folder_of_memories_migrates(move, files, work, tmp_path):
    result = move(files, "--store", tmp_path / "s")
    assert (result.code, result.json["migrated"]) == (0, COUNT)
    assert records(tmp_path / "s") == records(work / "store")


def test_bad_files_are_listed(move, files, tmp_path):
    bad = sorted(files.iterdir())[:4]
    bad[0].write_bytes(b"no archive")
    np.savez(bad[1], E8=np.ones((2, 24)))
    np.savez(bad[2], **{"E6.indices": np.arange(3)})
    np.savez(bad[3], nonsense=np.ones(3))
    result = move(files, "--store", tmp_path / "s")
    assert (result.code, result.json["migrated"]) == (3, COUNT - 4)
    assert set(result.json["failed"]) == {one.stem for one in bad}
    shutil.copy(bad[0], files / "other.npz")
    assert move(files, "--store", tmp_path / "t").code == 2


def test_what_is_no_source_is_a_mistake(move, tmp_path):
    assert move(tmp_path / "none", "--store", tmp_path / "s").code == 2
    (tmp_path / "empty").mkdir()
    assert move(tmp_path / "empty", "--store", tmp_path / "s").code == 2
    np.save(tmp_path / "empty" / "E8.npy", np.ones((2, 24), np.float32))
    assert move(tmp_path / "empty", "--store", tmp_path / "s", "--family", "E1=x").code == 2
    assert move(tmp_path / "empty", "--store", tmp_path / "empty").code == 2
    assert [one.name for one in (tmp_path / "empty").iterdir()] == ["E8.npy"]
    assert move(tmp_path / "empty", "--store", tmp_path / "s", "--family", "nonsense").code == 2
