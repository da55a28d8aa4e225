"""A store keeps samples of what encoding and queries lost, and tells them over time."""

import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from cgcython import FingerprintStore, ModelId, RecordStore
from cgcython.embedders.losses import LossTotals, LossWatch
from cgcython.router import QuantizationRouter
from cgcython.store import quality
from cgcython.store.quality import QUALITY, QUERIES, RECORDS, quality_samples

E1 = ModelId.SEMANTIC


@pytest.fixture
def path(tmp_path, memories):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(300))
        for i in range(70):
            store.search(memories.make(i))
    return tmp_path / "s"


def samples_of(path):
    with RecordStore.open(path, read_only=True) as store:
        return store.statistics().quality


def test_losses_of_records_are_kept_by_embedder(path, memories):
    (found,) = [one for one in samples_of(path) if (one.kind, one.embedder) == (RECORDS, "E1")]
    assert (found.losses.encoded, found.losses.samples) == (300, 2)
    assert found.codebook_id == memories.codebooks[E1].codebook_id
    expected = [memories.router.measure_recall_loss(E1, [memories.make(i)[E1]]) for i in (0, 256)]
    assert found.losses.mean == pytest.approx(np.mean(expected))
    assert datetime.now(UTC) - found.until < timedelta(minutes=5)
    assert {one.embedder for one in samples_of(path)} == {"E1", "E2", "E6", "E9", "E12"}


def test_queries_are_sampled_apart_from_records(path):
    (found,) = [one for one in samples_of(path) if (one.kind, one.embedder) == (QUERIES, "E1")]
    assert (found.losses.encoded, found.losses.samples) == (70, 2)
    assert 0 < found.losses.mean < 1
    assert 0.9 < found.similarity <= 1.001  # the stored memories themselves were asked for


def test_sessions_follow_each_other_and_the_oldest_go(path, memories, monkeypatch):
    monkeypatch.setattr(quality, "MOST_ROWS", 3)
    before = samples_of(path)
    for session in range(4):
        with RecordStore.open(path) as store:
            store.store(UUID(int=1000 + session), memories.make(session))
    found = samples_of(path)
    moments = sorted({one.until for one in found})
    assert len(moments) == 3
    assert moments[0] > before[0].until
    assert [one.until for one in found] == sorted(one.until for one in found)


def test_a_session_without_samples_writes_nothing(path):
    before = samples_of(path)
    RecordStore.open(path).close()
    FingerprintStore.open(path, read_only=True).close()
    assert samples_of(path) == before


def test_long_sessions_write_while_they_go_on(tmp_path, memories, monkeypatch):
    monkeypatch.setattr(quality, "FLUSH_SECONDS", 0)
    with RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many([(UUID(int=1), memories.make(1))])
        assert len(store.statistics().quality) == 5


def test_each_batch_is_one_line_in_the_log(tmp_path, memories, caplog):
    with (
        caplog.at_level(logging.INFO, "cgcython"),
        RecordStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store,
    ):
        items = ((UUID(int=i + 1), memories.make(i)) for i in range(300))
        store.store_many(items, batch_size=200)
    lines = [one.getMessage() for one in caplog.records if "sampled loss" in one.getMessage()]
    assert len(lines) == 2
    assert "200 records encoded; sampled loss: E1 " in lines[0]
    assert "100 records encoded" in lines[1]


@pytest.mark.parametrize(
    "value", [b"", b"[]", b'{"records": 1}', b'{"records":{"E1":{}}}', b"\xff"]
)
def test_damaged_samples_are_left_out(path, value):
    before = samples_of(path)
    with RecordStore.open(path) as store:
        store._keeper.files.write([("meta", QUALITY + bytes(8), value)])
        assert quality_samples(store._keeper) == before
        assert store.verify().ok


def test_samples_that_cannot_be_written_keep_no_store_open(path, memories, monkeypatch, caplog):
    store = RecordStore.open(path)
    store.store(UUID(int=1), memories.make(1))
    full = OSError("no space left")
    monkeypatch.setattr(quality.QualityLog, "flush", lambda log: (_ for _ in ()).throw(full))
    store.close()
    assert "its samples of losses were not kept: no space left" in caplog.text
    monkeypatch.undo()
    with RecordStore.open(path) as again:
        assert again.retrieve(UUID(int=1)) is not None


def test_arrays_that_are_added_are_sampled(tmp_path, memories):
    with RecordStore.open(tmp_path / "s", profile=memories.profile) as store:
        store.add([UUID(int=1), UUID(int=2)], {"E9": np.ones((2, 20))})
    (found,) = samples_of(tmp_path / "s")
    assert (found.embedder, found.losses.encoded, found.losses.samples) == ("E9", 2, 1)


def test_a_watch_tells_what_is_new(memories):
    router = QuantizationRouter(memories.codebooks, memories.profile, sample_every=2)
    watch = LossWatch()
    assert watch.since(router) == {}
    router.quantize_batch(E1, [memories.make(i)[E1] for i in range(10)])
    first = watch.since(router)[E1]
    assert (first.encoded, first.samples) == (10, 5)
    assert watch.since(router) == {}
    router.quantize(E1, memories.make(1)[E1])
    assert watch.since(router)[E1].encoded == 1


def test_totals_give_the_mean_and_its_interval():
    losses = np.array([0.1, 0.2, 0.4])
    totals = LossTotals(9, 3, losses.sum(), (losses**2).sum())
    half = 1.96 * losses.std(ddof=1) / np.sqrt(3)
    assert totals.interval == pytest.approx((losses.mean() - half, losses.mean() + half))
    assert np.isnan(LossTotals().mean)
    assert LossTotals(1, 1, 0.5, 0.25).interval == (-np.inf, np.inf)
