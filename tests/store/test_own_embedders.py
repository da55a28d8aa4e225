"""A store of embedders that users name: kept by number, found by name, by whoever opens it."""

import shutil
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import (
    Fingerprint,
    FingerprintStore,
    ModelId,
    PQ8Codebook,
    QuantizedFingerprint,
)
from cgcython.base import OwnEmbedder
from cgcython.errors import DimensionMismatch, InvalidInput, StoreUnavailable
from cgcython.store.repair import repair

GOLDEN = Path(__file__).parents[1] / "golden"
RNG = np.random.default_rng(11)
ROWS = {
    "minilm": {"dimension": 8, "method": "pq8", "bytes": 8},
    "E9": {"dimension": 8, "method": "binary"},
    "tokens.v2": {"dimension": 8, "method": "token_pruning", "number": 200},
    "codes": {"dimension": 8, "method": "float8_e4m3", "metric": "dot"},
}
X = RNG.standard_normal((30, 8)).astype(np.float32)
TOKENS = RNG.standard_normal((30, 4, 8)).astype(np.float32)
BOOK = PQ8Codebook(RNG.standard_normal((8, 256, 1)).astype(np.float32))
IDS = [UUID(int=number) for number in range(1, 31)]


def memory(i):
    return {"codes": X[i], "minilm": X[i], "tokens.v2": TOKENS[i], "E9": X[i]}


@pytest.fixture
def folder(tmp_path):
    with FingerprintStore.open(tmp_path / "own", {"minilm": BOOK}, profile=ROWS) as store:
        store.store_many((key, memory(i)) for i, key in enumerate(IDS))
    return tmp_path / "own"


@pytest.fixture
def store(folder):
    with FingerprintStore.open(folder) as store:
        yield store


def test_embedders_join_a_store(folder):
    more = {
        "titles": {"dimension": 8, "method": "binary", "number": 45},
        "E8": {"dimension": 8, "method": "float8_e4m3"},
    }
    follower = FingerprintStore.open(folder, follow=True)
    with pytest.raises(StoreUnavailable, match=r"titles, E8 only there.*to write adds"):
        FingerprintStore.open(folder, profile=ROWS | more, read_only=True)
    with FingerprintStore.open(folder, profile=ROWS | more) as store:
        assert {one.short: int(one) for one in store.profile}["titles"] == 45
        store.update(IDS[0], {"titles": X[0], "E8": X[0]})
        assert store.search({"titles": X[0]}, k=1)[0].id == IDS[0]
        assert follower.catch_up() == [IDS[0]]
        assert follower.search({"titles": X[0]}, k=1)[0].id == IDS[0]
        assert [one.short for one in follower.retrieve(IDS[0])][-1] == "tokens.v2"
    follower.close()
    with FingerprintStore.open(folder) as store:
        assert {*ROWS, *more} == {one.short for one in store.profile}
        assert store.verify().sections == 122
        assert store.retrieve(IDS[1]).keys() == store.retrieve(IDS[2]).keys()
    with pytest.raises(StoreUnavailable, match=r"another profile .titles, E8 left out"):
        FingerprintStore.open(folder, profile=ROWS)


def test_a_refused_codebook_adds_no_embedder(folder):
    more = ROWS | {"titles": {"dimension": 16, "method": "pq8", "bytes": 8}}
    with pytest.raises(DimensionMismatch):
        FingerprintStore.open(folder, {"titles": BOOK}, profile=more)
    with FingerprintStore.open(folder) as store:
        assert list(ROWS) == [one.short for one in store.profile]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_store_of_an_older_release_takes_an_embedder(version, tmp_path):
    shutil.copytree(GOLDEN / version / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store") as store:
        rows = {**store.profile, "titles": {"dimension": 8, "method": "binary"}}
        before = store.verify()
    with FingerprintStore.open(tmp_path / "store", profile=rows) as store:
        store.add(["new"], {"titles": X[:1]})
        assert store.search({"titles": X[0]}, k=1)[0].id == "new"
        assert store.verify().records == before.records + 1


def test_another_process_knows_the_names(store):
    assert [one.short for one in store.profile] == list(ROWS)
    found = store.retrieve(IDS[3])
    assert [one.short for one in found] == ["E9", "minilm", "codes", "tokens.v2"]
    assert [int(one) for one in found] == [8, 32, 33, 200]
    assert len(found["tokens.v2"]) == 4
    assert store.quantized(IDS[3], "codes").data == store.quantized(IDS[3])["codes"].data
    assert store.verify().sections == 120
    assert store.statistics().codebooks == {"minilm": [BOOK.codebook_id]}
    assert {one.embedder.short for one in store.statistics().parts} == set(ROWS)


def test_hits_are_scored_by_name(store):
    (hit,) = store.search(memory(5), 1)
    assert (hit.id, hit.similarity) == (IDS[5], pytest.approx(1))
    assert hit.scores["minilm"] == hit.scores[OwnEmbedder("minilm")]
    assert hit.scores[ModelId.HDC] == 1
    weighed = store.search(memory(5), 2, ["minilm", "codes"], {"codes": 0.5}, rerank="tokens.v2")
    assert set(weighed[0].scores) == {"minilm", "codes", "tokens.v2"}
    with pytest.raises(InvalidInput, match="the nearest is minilm"):
        store.search(memory(5), 1, "minlm")


def test_an_embedder_ranks_by_the_metric_of_its_row(store):
    def best(name, **how):
        return store.search({name: X[0]}, 1, **how)[0].scores[name]

    largest = float((X @ X[0]).max())
    assert best("codes") == best("codes", metric="dot") == pytest.approx(largest, rel=0.05)
    assert best("codes", metric="cosine") == pytest.approx(1, abs=0.01)
    assert best("minilm") == pytest.approx(1, abs=0.05)


def test_columns_are_kept_under_names_and_follow_writes(folder, store):
    names = {path.name for path in store.save_columns(["minilm", "codes"])}
    assert names == {"minilm.safetensors", "codes.safetensors"}
    store.close()
    with FingerprintStore.open(folder) as again:
        again.store(IDS[0], {"codes": -X[1]})
        assert again.search({"codes": -X[1]}, 1)[0].id == IDS[0]
        assert [hit.id for hit in again.search({"minilm": X[0]}, 30)].count(IDS[0]) == 0


def test_records_are_replaced_updated_deleted_and_brought_back(store):
    store.store(IDS[0], {"minilm": X[1]})
    store.update(IDS[1], {"codes": None, "minilm": X[2]})
    assert [one.short for one in store.quantized(IDS[1])] == ["E9", "minilm", "tokens.v2"]
    assert store.quantized(IDS[1], "codes") is None
    store.delete(IDS[2], soft=True)
    store.restore(IDS[2])
    assert len(store.retrieve(IDS[2])) == 4
    assert store.verify().sections == 1 + 3 + 28 * 4


def test_a_record_without_numbers_gets_those_of_the_store(store):
    parts = {name: store.quantized(IDS[7], name) for name in ("tokens.v2", "codes")}
    store.store_quantized([(IDS[0], QuantizedFingerprint(parts))])
    assert [int(one) for one in store.quantized(IDS[0])] == [33, 200]
    store.verify()
    with pytest.raises(InvalidInput, match="one of the profile's minilm"):
        store.store_quantized([(IDS[0], QuantizedFingerprint({"other": parts["codes"]}))])


def test_codebooks_of_own_names_are_listed_under_their_numbers(folder, store):
    newer = PQ8Codebook(RNG.standard_normal((8, 256, 1)).astype(np.float32))
    assert store.reencode("minilm", newer).records == 30
    store.close()
    with FingerprintStore.open(folder) as again:
        assert again.statistics().codebooks == {"minilm": [BOOK.codebook_id, newer.codebook_id]}
        assert again.router.codebooks["minilm"].codebook_id == newer.codebook_id
        assert again.drop_codebooks() == [BOOK.codebook_id]
        again.verify()


def test_another_profile_is_told_apart(folder):
    with pytest.raises(StoreUnavailable, match="minilm: bytes is 8, not left out") as refusal:
        FingerprintStore.open(folder, profile={**ROWS, "minilm": {"dimension": 8, "method": "pq8"}})
    assert "open it without one" in str(refusal.value)
    FingerprintStore.open(folder, profile=ROWS).close()


def test_a_repair_keeps_what_has_names(folder):
    report = repair(folder)
    assert report.records == 30
    with FingerprintStore.open(folder) as store:
        assert store.verify().sections == 120
        assert store.search(memory(9), 1)[0].id == IDS[9]


def test_e1_to_e13_alone_make_a_store_that_releases_before_read(tmp_path):
    with FingerprintStore.open(tmp_path / "plain", profile={"E9": ROWS["E9"]}) as store:
        store.store(IDS[0], Fingerprint({"E9": X[0]}))
        assert store._keeper.files.get("meta", b"format") == b"cgcython store 2"
    with FingerprintStore.open(tmp_path / "own", profile=ROWS) as store:
        assert store._keeper.files.get("meta", b"format") == b"cgcython store 3"
