"""Records, stores and shards of embedders that users named are read for ever."""

import json
import shutil
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import Profile
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search import FingerprintStore
from cgcython.search.shards import ShardSearcher

OWN = Path(__file__).with_name("v3_own")
EXPECTED = json.loads((OWN / "expected.json").read_text())
X = np.load(OWN / "embeddings.npy")
ONE = UUID(int=1)


@pytest.fixture(params=[False, True], ids=["write", "read only"])
def store(request, tmp_path):
    shutil.copytree(OWN / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store", read_only=request.param) as store:
        yield store


def test_records_keep_their_ids_parts_and_metadata(store):
    store.verify()
    found = [
        [type(one).__name__, str(one), [part.short for part in store.quantized(one)]]
        for one in store
    ]
    assert found == EXPECTED["records"]
    assert [store.info(one).content_hash.hex() for one in store] == EXPECTED["hashes"]
    assert store.info(-7).metadata == {"row": 4}
    assert {one.short: int(one) for one in store.profile} == EXPECTED["numbers"]


def test_parts_keep_their_bytes_and_settings(store):
    for name in ("codes", "minilm"):
        assert store.quantized(ONE, name).data.hex() == EXPECTED[name]
    assert store.statistics().codebooks == {"minilm": [EXPECTED["codebook_id"]]}
    (hit,) = store.search({"codes": X[0]}, 1, weights={"codes": 1})
    assert (hit.id, hit.scores["codes"]) == (ONE, pytest.approx(float(X[0] @ X[0]), rel=0.01))
    assert len(store.retrieve(ONE)["tokens.v2"]) == 3
    assert store.profile.row("E9").setting("threshold") == 0.5


def test_the_journal_knows_what_changed_since(store):
    before, stored, now = EXPECTED["positions"]
    assert store.journal.position() == now
    assert len(store.journal.changes_since(before)) == 8
    codes = store.profile.embedder("codes")
    assert len(store.journal.changes_since(stored, codes)) == 3
    assert len(store.journal.changes_since(stored, store.profile.embedder("words"))) == 1


def test_what_was_deleted_can_be_restored(store):
    assert list(store.trash()) == [7]
    if not store._keeper.files.read_only:
        assert store.restore(7) is True
        assert store.search({"minilm": X[3]}, 1)[0].id == 7


def test_a_record_is_read_with_its_profile():
    data = (OWN / "record.cgfp").read_bytes()
    profile = Profile.named(OWN / "profile.toml")
    record = QuantizedFingerprint.from_bytes(data, profile=profile)
    assert [part.short for part in record] == ["E9", "minilm", "words", "codes", "tokens.v2"]
    assert record.to_bytes() == data
    assert record["codes"].data.hex() == EXPECTED["codes"]


def test_shards_are_searched_by_name():
    searcher = ShardSearcher(OWN / "shards")
    assert searcher.search({"minilm": X[1]}, 1)[0].id == EXPECTED["shard_ids"][1]
    assert searcher.quantized("a text", "codes").data.hex() == EXPECTED["codes"]
