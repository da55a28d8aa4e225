"""`store` says what a store holds and keeps it small, safe and up to date."""

import shutil

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cgcython.base import ModelId
from cgcython.cli import prometheus
from cgcython.store import RecordStore


@pytest.fixture
def store(work, tmp_path):
    return shutil.copytree(work / "store", tmp_path / "store")


def test_stats_estimates_and_counts(cli, store):
    near, exact = (
        cli("store", "stats", store, "--json"),
        cli("store", "stats", store, "--exact", "--json"),
    )
    assert (near.code, exact.code) == (0, 0)
    assert (near.json["exact"], exact.json["exact"]) == (False, True)
    assert near.json["records"] == exact.json["records"] == 40
    sections = {part["embedder"]: part["sections"] for part in exact.json["parts"]}
    assert (sections["E1"], sections["E12"]) == (40, 20)
    assert list(exact.json["codebooks"]) == ["E1"]
    shown = cli("store", "stats", store)
    assert shown.out.startswith("about 40 records, about ")
    assert "E8        float8_e4m3" in shown.out


def test_stats_are_told_to_prometheus(cli, store):
    shown = cli("store", "stats", store, "--prometheus", "--exact")
    families = {one.name: one for one in text_string_to_metric_families(shown.out)}
    assert all(one.documentation and one.type == "gauge" for one in families.values())
    (records,) = families["cgcython_store_records"].samples
    assert records.value == 40
    sections = families["cgcython_store_sections"].samples
    assert ({"embedder": "E1", "layout": "pq8"}, 40.0) in [(s.labels, s.value) for s in sections]
    losses = {s.labels["embedder"]: s.value for s in families["cgcython_store_loss_ratio"].samples}
    assert set(losses) == {"E1", "E6", "E8", "E12"}
    assert 0 < losses["E1"] < 1
    (trained,) = families["cgcython_store_trained_loss_ratio"].samples
    assert trained.value < 0.05


def test_labels_of_prometheus_are_escaped():
    assert prometheus._labels([("a", 'x"y\\z\n')]) == '{a="x\\"y\\\\z\\n"}'


def test_stats_tell_the_newest_samples(cli, store):
    shown = cli("store", "stats", store)
    line = next(one for one in shown.out.splitlines() if one.startswith("E1 ") and "records" in one)
    assert line.split()[1:3] == ["records", "1"]
    quality = cli("store", "stats", store, "--json").json["quality"]
    assert {(one["kind"], one["embedder"], one["encoded"]) for one in quality} >= {
        ("records", "E1", 40),
        ("records", "E12", 20),
    }


def test_purge_keeps_what_is_young_and_compact_frees_the_rest(cli, store):
    with RecordStore.open(store) as opened:
        opened.delete_many(list(opened)[:30], soft=True)
    assert cli("store", "purge", store, "--older-than", "1d", "--json").json == {
        "records_purged": 0
    }
    assert cli("store", "purge", store).out == "30 records purged\n"
    assert cli("store", "compact", store, "--json").json["bytes_freed"] > 0
    assert cli("store", "stats", store, "--exact", "--json").json["records"] == 10


@pytest.mark.parametrize("text", ["3", "d", "-1d", "1w", "1.5h"])
def test_other_durations_are_refused(cli, store, text):
    assert cli("store", "purge", store, f"--older-than={text}").code == 2


def test_a_backup_is_a_store(cli, store, tmp_path):
    assert cli("store", "backup", store, tmp_path / "copy").code == 0
    assert cli("verify", tmp_path / "copy", "--json").json["records"] == 40
    again = cli("store", "backup", store, tmp_path / "copy")
    assert (again.code, "exists" in again.err) == (5, True)


def test_reencode_moves_to_the_codebook_of_a_folder(cli, store, work, tmp_path):
    np.savez(tmp_path / "train.npz", E1=np.load(work / "train.npz")["E1"][::-1])
    words = "--profile", work / "profile.toml", "--models", tmp_path / "models"
    trained = cli(
        "train", "E1", "--input", tmp_path / "train.npz", *words, "--bytes", 8, "--seed", 3
    )
    assert trained.code == 0
    moved = cli("store", "reencode", store, "E1", *words[2:], "--drop", "--json")
    assert moved.code == 0
    assert (moved.json["records_moved"], moved.json["codebooks_dropped"]) == (40, 1)
    assert 0 < moved.json["mean_loss"] <= moved.json["max_loss"] < 0.2
    with RecordStore.open(store) as opened:
        assert len(opened.statistics().codebooks[ModelId.SEMANTIC]) == 1
        opened.verify()


def test_a_missing_codebook_and_a_missing_store_have_their_exit_codes(cli, store, tmp_path):
    missing = cli("store", "reencode", store, "E1", "--models", tmp_path / "none")
    assert missing.code == 4
    assert cli("store", "stats", tmp_path / "none").code == 5
    assert not (tmp_path / "none").exists()
    assert cli("store", "mend", store).code == 2


def test_several_workers_do_not_reencode_a_folder(cli, store, tmp_path):
    words = "E1", "--models", tmp_path / "none", "--scheduler", "processes"
    refused = cli("store", "reencode", store, *words)
    assert refused.code == 2
    assert "is a folder, to which one process writes: leave out --scheduler" in refused.err
    alone = cli("store", "reencode", store, *words[:3], "--workers", 2)
    assert (alone.code, "--workers is for --scheduler" in alone.err) == (2, True)


def test_copy_writes_the_same_store_elsewhere(cli, store, tmp_path):
    with RecordStore.open(store) as opened:
        opened.delete_many(list(opened)[:10], soft=True)
    found = cli("store", "copy", store, tmp_path / "copy", "--json").json
    assert (found["records_copied"], found["of_the_trash"]) == (30, 10)
    assert len(found["digest"]) == 64
    shown = cli("store", "copy", store, tmp_path / "again").out
    assert shown.startswith("30 records copied, 10 of the trash, ")
    assert f"{found['digest']} digest" in shown
    with RecordStore.open(store) as one, RecordStore.open(tmp_path / "copy") as other:
        assert list(one.infos()) == list(other.infos())
    refused = cli("store", "copy", store, tmp_path / "copy")
    assert refused.code != 0
    assert "there is a store already" in refused.err


def test_copy_takes_shards(cli, work, tmp_path):
    found = cli("store", "copy", work / "shards", tmp_path / "copy", "--json")
    assert (found.code, found.json["of_the_trash"]) == (0, 0)
    with RecordStore.open(tmp_path / "copy") as store:
        assert len(store) == found.json["records_copied"] == 40
