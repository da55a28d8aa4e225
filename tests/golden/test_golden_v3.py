"""A store of format 3 and shards of version 2 are read for ever: ids and embedders of all kinds."""

import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.search import FingerprintStore
from cgcython.search.shards import ShardSearcher
from cgcython.store.ids import id_of
from cgcython.store.keepers.rocksdb.format import FREE, read_version
from cgcython.store.shards import read_shard

V3 = Path(__file__).with_name("v3")
EXPECTED = json.loads((V3 / "expected.json").read_text())
KINDS = {"UUID": UUID, "int": int, "str": str}


def ids_of(names):
    return [KINDS[kind](text) for kind, text in names]


@pytest.fixture(params=[False, True], ids=["write", "read only"])
def store(request, tmp_path):
    shutil.copytree(V3 / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store", read_only=request.param) as store:
        yield store


def test_records_keep_their_ids_parts_times_and_metadata(store):
    store.verify()
    assert read_version(store._keeper.files) == FREE
    assert list(store) == ids_of(EXPECTED["ids"])
    records = [store.quantized(one) for one in store]
    found = [{part.short: one.data.hex() for part, one in record.items()} for record in records]
    assert found == EXPECTED["codes"]
    infos = [[*info._replace(content_hash=info.content_hash.hex())] for _, info in store.infos()]
    assert infos == EXPECTED["info"]


def test_embedders_keep_their_names_and_numbers(store):
    assert int(store.profile.embedder("minilm")) == 32
    memory = store.retrieve("5")
    assert [one.short for one in memory] == ["minilm"]
    assert store.search(memory, k=1)[0].id == "5"


def test_the_journal_knows_what_changed_since(store):
    changes = [store.journal.changes_since(one) for one in EXPECTED["positions"]]
    assert [[key.hex() for key in some] for some in changes] == EXPECTED["changes"]
    some = store.journal.changes_since(EXPECTED["positions"][1], "minilm")
    assert [key.hex() for key in some] == EXPECTED["minilm"]


def test_what_was_deleted_can_be_restored(store):
    assert list(store.trash()) == ids_of(EXPECTED["trash"]) == [5]
    if not store._keeper.files.read_only:
        assert store.restore(5) is True
        assert store.info(5).metadata == {"n": 2}


def test_a_shard_keeps_its_ids_and_columns():
    shard = read_shard(V3 / "shards" / "shard-00000.safetensors")
    keys = shard.ids.keys()
    assert [key.hex() for key in keys] == EXPECTED["shard"]["keys"]
    codes = {one.short: part.batch.columns["codes"] for one, part in shard.parts.items()}
    assert {name: one.tobytes().hex() for name, one in codes.items()} == EXPECTED["shard"]["codes"]
    searcher = ShardSearcher(V3 / "shards")
    for key in keys:
        assert searcher.quantized(id_of(key), "minilm") is not None
