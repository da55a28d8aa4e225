"""A migration stores what the old system kept as encoding does, bit for bit, and names the rest."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from legacy import legacy_value, write_legacy

from cgcython.base import ModelId
from cgcython.errors import (
    CodebookMissing,
    InvalidInput,
    QuantizationError,
    StoreUnavailable,
)
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore
from cgcython.store.migration import (
    InPlace,
    LegacyDatabase,
    decode_value,
    migrate,
    require_all_there,
    run,
)

COUNT = 60
HERE = Path(__file__).parents[1]
MIGRATOR = """
import runpy, sys
from cgcython.store import RecordStore, migration
from cgcython.store.migration import run
made = runpy.run_path(sys.argv[1])["make_memories"]()
run.BATCH = 4
with RecordStore.open(sys.argv[3], made.codebooks, made.profile) as store:
    with migration.LegacyDatabase(sys.argv[2], made.profile) as source:
        tell = lambda count: print(count, flush=True)
        migration.migrate(source, store.router, store, resume=True, progress=tell)
"""


def key_of(number):
    return UUID(int=(number * 2**100 + number) % 2**128).bytes


def values_of(memories, count=COUNT, **options):
    return {
        (one, key_of(number)): legacy_value(embedding, **options)
        for number in range(1, count + 1)
        for one, embedding in memories.make(number).items()
    }


@pytest.fixture
def values(memories):
    """Return `{(ModelId, key): bytes}` of some memories, to be spoiled."""
    return values_of(memories)


@pytest.fixture
def store(memories, tmp_path):
    with RecordStore.open(tmp_path / "store", memories.codebooks, memories.profile) as opened:
        yield opened


@pytest.fixture
def moved(memories, store, tmp_path):
    """Return a function that migrates values into the store and returns the report."""

    def move(values, others=(), **options):
        if not (tmp_path / "old").exists():
            write_legacy(tmp_path / "old", values, others)
        with LegacyDatabase(tmp_path / "old", memories.profile) as source:
            return migrate(source, store.router, store, **options)

    return move


def ids_of(found):
    return {UUID(one).bytes for one in found}


@pytest.mark.parametrize("pairs", [True, False])
def test_what_is_stored_is_what_encoding_gives(memories, moved, store, pairs):
    report = moved(values_of(memories, pairs=pairs), num_threads=2)
    assert (report.migrated, report.failed, report.skipped) == (COUNT, {}, {})
    for number in range(1, COUNT + 1):
        expected = memories.make(number).encode(memories.router)
        assert dict(store.quantized(key_of(number)).items()) == dict(expected.items())
    assert report.stored_bytes == store.verify().stored_bytes
    assert report.stored_bytes < report.float32_bytes


def test_memories_without_some_embedders_keep_those_they_have(memories, moved, store, values):
    del values[ModelId.HDC, key_of(3)]
    assert moved(values).migrated == COUNT
    assert ModelId.HDC not in store.quantized(key_of(3))
    assert ModelId.HDC in store.quantized(key_of(4))


HOSTILE = {
    "half a float": (ModelId.SEMANTIC, lambda v: v[:-2], "whole float32 values"),
    "too short": (ModelId.SEMANTIC, lambda v: v[:-4], "expected 16 values, got 15"),
    "empty": (ModelId.HDC, lambda v: b"", "expected 20 values, got 0"),
    "NaN": (ModelId.HDC, lambda v: b"\0\0\xc0\x7f" + v[4:], "value 0 is nan"),
    "infinite": (ModelId.LATE_INTERACTION, lambda v: v[:-4] + b"\0\0\x80\x7f", "is inf"),
    "part of a token": (ModelId.LATE_INTERACTION, lambda v: v[:-4], "a multiple of 8"),
    "a count too high": (ModelId.SPARSE, lambda v: b"\xff\xff\xff\xff" + v[4:], "expected 400"),
    "an index too high": (ModelId.SPARSE, lambda v: v[:4] + b"\xff\xff\0\0" + v[8:], "399"),
    "one index twice": (ModelId.SPARSE, lambda v: v[:12] + v[4:8] + v[16:], "duplicates"),
    "too dense": (
        ModelId.SPARSE,
        lambda v: np.ones(400, "<f4").tobytes(),
        "400 of 400 values are non-zero",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_value_is_named_and_stops_nothing_else(moved, store, values, case):
    model_id, spoil, reason = HOSTILE[case]
    values[model_id, key_of(7)] = spoil(values[model_id, key_of(7)])
    report = moved(values)
    assert report.migrated == COUNT - 1
    assert ids_of(report.failed) == {key_of(7)}
    (told,) = report.failed.values()
    assert reason in told
    assert model_id.short in told
    assert key_of(7) not in store


@pytest.mark.parametrize("case", HOSTILE)
def test_strict_raises_the_first_bad_value(moved, values, case):
    model_id, spoil, _ = HOSTILE[case]
    values[model_id, key_of(7)] = spoil(values[model_id, key_of(7)])
    with pytest.raises(QuantizationError) as caught:
        moved(values, strict=True)
    assert str(UUID(bytes=key_of(7))) in caught.value.__notes__[-1]


def test_keys_that_are_no_uuids_are_named(moved, values):
    values[ModelId.HDC, b"short"] = values[ModelId.HDC, key_of(1)]
    report = moved(values)
    assert list(report.failed) == ["key 0x73686f7274"]
    assert "16 bytes of a UUID" in report.failed["key 0x73686f7274"]
    assert report.migrated == COUNT


def test_a_memory_over_the_budget_is_named(moved, values, memories):
    tokens = np.ones((2000, 8), "<f4")
    values[ModelId.LATE_INTERACTION, key_of(5)] = tokens.tobytes()
    report = moved(values, budget_bytes=1500)
    assert ids_of(report.failed) == {key_of(5)}
    assert "EMB-E017" in report.failed[str(UUID(bytes=key_of(5)))]


def test_families_of_other_names_are_found_or_given(memories, tmp_path, values):
    names = {ModelId.SEMANTIC: "E1_Semantic", ModelId.HDC: "hyper", ModelId.SPARSE: "sparse"}
    write_legacy(tmp_path / "old", values, ["notes"], names)
    with LegacyDatabase(tmp_path / "old", memories.profile, {"E9": "hyper"}) as source:
        assert set(source.embedders) == set(memories.profile)
        assert source.unknown == ["notes"]
        assert sum(len(one.embeddings) for one in source.records()) == 5 * COUNT
    with LegacyDatabase(tmp_path / "old", memories.profile) as source:
        assert source.unknown == ["hyper", "notes"]
    with pytest.raises(InvalidInput, match="hyper"):
        LegacyDatabase(tmp_path / "old", memories.profile, {"E9": "none such"})


def test_embedders_outside_the_profile_are_told(memories, moved, store, values, tmp_path):
    only = {(ModelId.GRAPH, key_of(1000)): b"\0" * 8}
    report = moved(values | only)
    assert ids_of(report.skipped) == {key_of(1000)}
    assert report.migrated == COUNT
    with LegacyDatabase(tmp_path / "old", memories.profile) as source:
        assert source.unknown == ["emb_7"]


def test_two_families_of_one_embedder_must_be_told_apart(memories, tmp_path, values):
    write_legacy(tmp_path / "old", values, ["semantic"])
    with pytest.raises(InvalidInput, match="one family for E1"):
        LegacyDatabase(tmp_path / "old", memories.profile)
    with LegacyDatabase(tmp_path / "old", memories.profile, {"E1": "emb_0"}) as source:
        assert source.families[ModelId.SEMANTIC] == "emb_0"
        assert source.unknown == ["semantic"]


def test_what_is_no_legacy_database_is_refused(memories, tmp_path, store):
    with pytest.raises(StoreUnavailable, match="no RocksDB"):
        LegacyDatabase(tmp_path / "none", memories.profile)
    write_legacy(tmp_path / "other", {}, ["notes"])
    with pytest.raises(StoreUnavailable, match="as in E1=name"):
        LegacyDatabase(tmp_path / "other", memories.profile)


def test_a_missing_codebook_stops_everything(memories, values, tmp_path):
    write_legacy(tmp_path / "old", values)
    with LegacyDatabase(tmp_path / "old", memories.profile) as source:
        router = QuantizationRouter(tmp_path, memories.profile)
        with pytest.raises(CodebookMissing, match="cgcython train E1"):
            migrate(source, router, dry_run=True)


def test_a_dry_run_counts_the_same_and_writes_nothing(memories, tmp_path, values):
    write_legacy(tmp_path / "old", values)
    seen = []
    with LegacyDatabase(tmp_path / "old", memories.profile) as source:
        router = QuantizationRouter(memories.codebooks, memories.profile)
        watch = lambda rows, records: seen.extend(zip(rows, records))  # noqa: E731
        report = migrate(source, router, dry_run=True, watch=watch)
    assert report.migrated == len(seen) == COUNT
    assert sorted(one.name for one in tmp_path.iterdir()) == ["old"]


def test_a_store_that_holds_records_needs_resume(memories, moved, store, values):
    store.store(key_of(1), memories.make(99))
    with pytest.raises(StoreUnavailable, match="resume"):
        moved(values)
    report = moved(values, resume=True)
    assert (report.migrated, report.already_there) == (COUNT - 1, 1)
    assert dict(store.quantized(key_of(1)).items()) == dict(
        memories.make(99).encode(memories.router).items()
    )


def test_a_finished_migration_leaves_no_mark(moved, store, values):
    moved(values)
    assert list(store._keeper.files.scan("meta", b"migration/")) == []
    assert moved(values, resume=True).already_there == COUNT


def test_a_run_that_stopped_goes_on_and_still_knows_what_failed(
    moved, store, values, memories, monkeypatch
):
    monkeypatch.setattr(run, "BATCH", 8)
    first, late = sorted(key for one, key in values if one is ModelId.HDC)[1:41:39]
    for key in (first, late):
        values[ModelId.HDC, key] = b""

    def stop(count, seen=[]):  # noqa: B006
        seen.append(count)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(values, progress=stop)
    dealt_with = []
    report = moved(values, resume=True, progress=dealt_with.append)
    assert sum(dealt_with) == COUNT - 24
    assert ids_of(report.failed) == {first, late}
    assert report.already_there == 23
    assert report.migrated == COUNT - 25
    assert store.verify().records == COUNT - 2


def test_another_source_begins_anew(moved, store, values, memories, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "BATCH", 8)

    def stop(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moved(values, progress=stop)
    other = {(ModelId.HDC, key): value for (one, key), value in values.items() if one == 8}
    write_legacy(tmp_path / "other", other)
    with LegacyDatabase(tmp_path / "other", memories.profile) as source:
        report = migrate(source, store.router, store, resume=True)
    assert (report.already_there, report.migrated) == (8, COUNT - 8)


def test_kills_lose_nothing_and_double_nothing(memories, tmp_path):
    rng = np.random.default_rng(4)
    values, old, new = values_of(memories, 400), tmp_path / "old", tmp_path / "new"
    values[ModelId.HDC, key_of(9)] = b"\0"
    write_legacy(old, values)
    command = [sys.executable, "-c", MIGRATOR, str(HERE / "memories.py"), str(old), str(new)]
    killed = 0
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            told = process.stdout.readline()
            time.sleep(rng.uniform(0, 0.02))
            process.kill()
        killed += process.returncode == -signal.SIGKILL
        if not told:
            break  # it had nothing left to do
    assert killed > 0
    subprocess.run(command, capture_output=True, check=True)
    with RecordStore.open(new) as store, LegacyDatabase(old, memories.profile) as source:
        assert store.verify().records == 399
        assert migrate(source, store.router, store, resume=True).failed.keys() == {
            str(UUID(bytes=key_of(9)))
        }
        expected = memories.make(123).encode(memories.router)
        assert dict(store.quantized(key_of(123)).items()) == dict(expected.items())


def test_a_damaged_block_costs_its_memories_and_is_named(memories, moved, store, tmp_path):
    values = values_of(memories, 400)
    write_legacy(tmp_path / "old", values)
    table = max((tmp_path / "old").glob("*.sst"), key=lambda one: one.stat().st_size)
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    report = moved(values)
    lost = ids_of(name for name in report.failed if not name.startswith("family"))
    assert any(name.startswith("family") for name in report.failed)
    assert 0 < len(lost) < 200
    assert report.migrated == 400 - len(lost)
    assert store.verify().records == 400 - len(lost)
    lacks = pytest.raises(StoreUnavailable, match="it lacks the legacy memory")
    with LegacyDatabase(tmp_path / "old", memories.profile) as source, lacks:
        require_all_there(source, store)


def test_everything_is_known_to_be_there(memories, moved, store, values, tmp_path):
    moved(values)
    with LegacyDatabase(tmp_path / "old", memories.profile) as source:
        require_all_there(source, store)
        store.delete(key_of(8))
        with pytest.raises(StoreUnavailable, match=str(UUID(bytes=key_of(8)))):
            require_all_there(source, store)


def in_place(memories, path):
    place = InPlace(path)
    with place.locked():
        with (
            RecordStore.open(place.building, memories.codebooks, memories.profile) as store,
            LegacyDatabase(path, memories.profile) as source,
        ):
            migrate(source, store.router, store, resume=True)
        return place


@pytest.mark.parametrize("exchange", ["at once", "by two renames"])
def test_in_place_the_store_takes_the_place_of_the_database(
    memories, values, tmp_path, monkeypatch, exchange
):
    path = tmp_path / "memories"
    write_legacy(path, values)
    if exchange != "at once":
        monkeypatch.setattr("cgcython.store.migration.swap._exchange", lambda *_: False)
    place = in_place(memories, path)
    kept = place.finish()
    assert place.is_done()
    assert place.legacy() == [kept]
    assert {one.name for one in tmp_path.iterdir()} == {"memories", kept.name}
    with RecordStore.open(path) as store, LegacyDatabase(kept, memories.profile) as source:
        require_all_there(source, store)


def test_in_place_a_link_stays_a_link(memories, values, tmp_path):
    write_legacy(tmp_path / "real", values)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    kept = in_place(memories, tmp_path / "link").finish()
    assert kept.name.startswith("real.legacy-")
    assert (tmp_path / "link").is_symlink()
    with RecordStore.open(tmp_path / "link") as store:
        assert store.verify().records == COUNT


def test_a_kill_between_the_steps_of_the_exchange_is_made_good(memories, values, tmp_path):
    path = tmp_path / "memories"
    write_legacy(path, values)
    place = in_place(memories, path)
    path.rename(tmp_path / "memories.legacy-1")  # killed between the two renames
    assert place.is_done()
    (tmp_path / "memories.legacy-1").rename(place.building)  # killed after an exchange at once
    assert place.is_done()
    assert len(place.legacy()) == 1
    assert not place.building.exists()


def test_a_database_in_use_is_not_migrated_in_place(values, tmp_path):
    write_legacy(tmp_path / "old", values)
    script = (
        "import rocksdict, sys; r = rocksdict.Rdict(sys.argv[1], rocksdict.Options(raw_mode=True));"
        "print(1, flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "old")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as other:
        other.stdout.readline()
        with (
            pytest.raises(StoreUnavailable, match="another process"),
            InPlace(tmp_path / "old").locked(),
        ):
            pass
        other.communicate(b"\n")


def test_values_decode_alone(memories):
    row = memories.profile[ModelId.LATE_INTERACTION]
    tokens = np.arange(24, dtype="<f4").reshape(3, 8)
    np.testing.assert_array_equal(decode_value(tokens.tobytes(), row), tokens)
    assert decode_value(b"", row).shape == (0, 8)
