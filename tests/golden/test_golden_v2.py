"""A store of format 2 is read for ever: times, metadata, trash and journal included."""

import json
import shutil
from pathlib import Path
from uuid import UUID

import pytest

from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search import FingerprintStore

V2 = Path(__file__).with_name("v2")
EXPECTED = json.loads((V2 / "expected.json").read_text())
ONE, TWO, THREE = (UUID(int=i) for i in (1, 2, 3))


@pytest.fixture(params=[False, True], ids=["write", "read only"])
def store(request, tmp_path):
    shutil.copytree(V2 / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store", read_only=request.param) as store:
        yield store


def test_records_keep_their_parts_times_and_metadata(store):
    store.verify()
    parts = {str(one): sorted(part.short for part in store.quantized(one)) for one in store}
    assert parts == EXPECTED["embedders"]
    for one in store:
        created, updated, content_hash, metadata = store.info(one)
        found = [created, updated, content_hash.hex(), metadata]
        assert found == EXPECTED["info"][str(one)]
    first = (V2.with_name("v1") / "fingerprint.cgfp").read_bytes()
    assert store.quantized(ONE) == QuantizedFingerprint.from_bytes(first)


def test_the_journal_knows_what_changed_since(store):
    first, second, last = EXPECTED["positions"]
    assert store.journal.position() == last
    assert store.journal.changes_since(0) == [ONE.bytes, TWO.bytes, THREE.bytes]
    assert store.journal.changes_since(first, "E9") == [TWO.bytes, THREE.bytes]
    assert store.journal.changes_since(second) == [ONE.bytes, THREE.bytes]


def test_what_was_deleted_can_be_restored(store):
    assert {str(one): deleted for one, deleted in store.trash().items()} == EXPECTED["trash"]
    if not store._keeper.files.read_only:
        assert store.restore(THREE) is True
        assert store.quantized(THREE) == store.quantized(TWO)
