"""What a store keeps about itself is there twice: damage of it closes no store, and is mended."""

import os
import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    StorageCorruption,
    StoreUnavailable,
)
from cgcython.search import FingerprintStore
from cgcython.store import repair
from cgcython.store.keepers.rocksdb import Database
from cgcython.store.keepers.rocksdb.layout import COPIES
from cgcython.store.shelf import CODEBOOK, GENERATIONS

WITH, WITHOUT = [UUID(int=i + 1) for i in range(6)], [UUID(int=i + 100) for i in range(4)]
E1 = ModelId.SEMANTIC
LIST = GENERATIONS + bytes([E1])
MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def sound(memories, tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "s"
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(one.int)) for one in WITH)
        store.store_many((one, memories.make(one.int, ["E2", "E9"])) for one in WITHOUT)
    return path


@pytest.fixture
def path(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "s")


@pytest.fixture
def expected(sound):
    with FingerprintStore.open(sound, read_only=True) as store:
        return {one: store.retrieve(one) for one in store}


def tables_with(path, some):
    """Return the table files that hold some bytes, in the order of their making."""
    return [one for one in sorted(path.glob("*.sst")) if some in one.read_bytes()]


def damage(path, codebook, which):
    """Flip a bit of the codebook in the first, the second or both of its copies."""
    part = codebook.to_bytes()[6000:6100]
    tables = tables_with(path, part)
    assert len(tables) == 2
    for table in [tables[one] for one in which]:
        content = bytearray(table.read_bytes())
        content[content.index(part) + 7] ^= 16
        table.write_bytes(content)


def rewrite(path, *rows):
    """Write (family, key, value) as something that does not look would; None deletes."""
    files = Database(path)
    files.write(
        [row for row in rows if row[2] is not None],
        [row[:2] for row in rows if row[2] is None],
    )
    files.close()


@pytest.fixture
def book(memories):
    return memories.codebooks[E1]


@pytest.mark.parametrize("which", [[0], [1]])
def test_one_damaged_copy_costs_nothing_and_is_mended(path, book, expected, which, memories):
    damage(path, book, which)
    with FingerprintStore.open(path, read_only=True) as store:
        assert {one: store.retrieve(one) for one in store} == expected
        with pytest.raises(StorageCorruption, match="one of two copies"):
            store.verify()
    with FingerprintStore.open(path) as store:
        assert {one: store.retrieve(one) for one in store} == expected
        assert store.verify().records == len(expected)
        store.store(UUID(int=500), memories.make(500))
        store.compact()
    with FingerprintStore.open(path, read_only=True) as store:
        assert store.verify().records == len(expected) + 1
    both = [table for one in which for table in tables_with(path, book.to_bytes()[6000:6100])]
    assert both


@pytest.mark.parametrize("read_only", [True, False])
def test_a_lost_codebook_closes_no_store(path, book, expected, read_only, caplog, memories):
    damage(path, book, [0, 1])
    with FingerprintStore.open(path, read_only=read_only) as store:
        assert f"{book.codebook_id:#010x}" in caplog.text
        assert "without the codebooks of E1" in repr(store)
        assert {one: store.retrieve(one) for one in WITHOUT} == {
            one: expected[one] for one in WITHOUT
        }
        assert store.quantized(WITH[0]) is not None
        assert store.search(memories.make(3, ["E9", "E2"]), k=1)[0].id == WITH[2]
        for needs in (lambda: store.retrieve(WITH[0]), lambda: store.search(memories.make(3))):
            with pytest.raises(CodebookCorrupt, match=r"open the store with it in `codebooks`"):
                needs()
        report = store.check()
        name = f"codebook {book.codebook_id:#010x}"
        assert f"{len(WITH)} records need it" in report.others[name][0]
        assert set(report.ids) == set(WITH)
        if not read_only:
            store.store(UUID(int=700), memories.make(700, ["E9"]))


@pytest.mark.parametrize("way", ["open", "use_codebooks", "folder"])
def test_giving_a_lost_codebook_mends_it(path, book, expected, way, memories, tmp_path):
    damage(path, book, [0, 1])
    query = memories.make(3)
    if way == "use_codebooks":
        with FingerprintStore.open(path) as store:
            assert store.search(memories.make(3, ["E9"]), k=1)
            store.use_codebooks(memories.codebooks)
            assert store.search(query, k=1)[0].id == WITH[2]
    else:
        book.save(tmp_path / "models/pq8_codebooks/Semantic_codebook.safetensors")
        given = memories.codebooks if way == "open" else tmp_path / "models"
        FingerprintStore.open(path, given).close()
    with FingerprintStore.open(path) as store:
        assert {one: store.retrieve(one) for one in store} == expected
        assert store.verify().records == len(expected)
        store.compact()
        assert "without" not in repr(store)


def test_a_given_codebook_serves_a_reader_until_it_is_closed(path, book, expected, memories):
    damage(path, book, [0, 1])
    with FingerprintStore.open(path, memories.codebooks, read_only=True) as store:
        assert store.retrieve(WITH[0]) == expected[WITH[0]]
    with FingerprintStore.open(path) as store, pytest.raises(CodebookCorrupt):
        store.retrieve(WITH[0])


def test_another_codebook_encodes_meanwhile(path, book, memories):
    damage(path, book, [0, 1])
    with FingerprintStore.open(path, memories.other_codebooks) as store:
        store.store(UUID(int=9), memories.make(9))
        assert store.search(memories.make(9), k=1)[0].id == UUID(int=9)
        hits = store.search(memories.make(9), k=99, embedders=["E1"])
        assert [hit.id for hit in hits] == [UUID(int=9)]
        assert store.drop_codebooks() == []
        store.use_codebooks(memories.codebooks)
        assert len(store.search(memories.make(9), k=99, embedders=["E1"])) == len(WITH) + 1


def test_a_repair_takes_the_second_copy(path, book, expected):
    damage(path, book, [0])
    repair(path)
    with FingerprintStore.open(path) as store:
        assert {one: store.retrieve(one) for one in store} == expected
        assert store.verify().ok


def test_a_repair_counts_the_records_that_need_a_lost_codebook(path, book, expected, memories):
    damage(path, book, [0, 1])
    report = repair(path)
    assert not report.lost
    assert any(f"which {len(WITH)} records need" in one for one in report.losses)
    with FingerprintStore.open(path) as store, pytest.raises(CodebookMissing, match="`codebooks`"):
        store.retrieve(WITH[0])
    with FingerprintStore.open(path, memories.codebooks) as store:
        assert {one: store.retrieve(one) for one in store} == expected


@pytest.mark.parametrize("family", ["meta", COPIES])
@pytest.mark.parametrize("key", [b"format", b"profile", LIST, "codebook"])
@pytest.mark.parametrize("value", [None, b"\xff\xfe odd"])
def test_every_row_is_read_from_the_other_copy(path, book, expected, family, key, value):
    key = CODEBOOK + book.codebook_id.to_bytes(4, "big") if key == "codebook" else key
    if (family, key, value) == ("meta", b"format", b"\xff\xfe odd"):
        pytest.skip("a format that can be read is believed")
    rewrite(path, (family, key, value))
    with FingerprintStore.open(path, read_only=True) as store:
        assert {one: store.retrieve(one) for one in store} == expected
    with FingerprintStore.open(path) as store:
        assert store.verify().ok
        first, second = (store._keeper.files.get(one, key) for one in ("meta", COPIES))
        assert first == second is not None


def test_a_store_without_second_copies_gets_them(path, expected):
    files = Database(path)
    keys = [key for key, _ in files.scan("meta")]
    files.write(deletes=[(COPIES, key) for key in keys])
    files.close()
    with FingerprintStore.open(path, read_only=True) as store:
        assert store.verify().ok
    with FingerprintStore.open(path) as store:
        alone = b"journal/floor", b"quality/"  # which may be lost
        twice = [key for key in keys if not key.startswith(alone)]
        assert all(store._keeper.files.get(COPIES, key) for key in twice)
        assert store.verify().ok


def test_a_mending_that_was_killed_half_way_is_finished(path, expected):
    files = Database(path)
    files._families.pop("meta").close()
    del files._handles["meta"]
    files._rdict.drop_column_family("meta")
    files.close()
    with pytest.raises(StoreUnavailable, match="open it once to write"):
        FingerprintStore.open(path, read_only=True)
    with FingerprintStore.open(path) as store:
        assert {one: store.retrieve(one) for one in store} == expected
        assert store.verify().ok


def test_a_codebook_under_another_id_decodes_nothing(path, book, memories, expected):
    other = memories.other_codebooks[E1]
    key = CODEBOOK + book.codebook_id.to_bytes(4, "big")
    rewrite(path, *((family, key, other.to_bytes()) for family in ("meta", COPIES)))
    with FingerprintStore.open(path) as store, pytest.raises(CodebookCorrupt, match="another one"):
        store.retrieve(WITH[0])
    with FingerprintStore.open(path, memories.codebooks) as store:
        assert store.retrieve(WITH[0]) == expected[WITH[0]]


def wide_codebook(**facts):
    centroids = np.random.default_rng(0).standard_normal((8, 256, 4)).astype(np.float32)
    return PQ8Codebook(centroids).with_facts(facts)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_codebook_of_another_dimension_or_embedder_is_refused_at_the_door(
    path, expected, read_only, memories
):
    named = memories.codebooks[E1].with_facts({"model": "E5"})
    for codebook, error in ((wide_codebook(), DimensionMismatch), (named, InvalidInput)):
        with pytest.raises(error, match="E1"):
            FingerprintStore.open(path, {"E1": codebook}, read_only=read_only)
        with FingerprintStore.open(path, read_only=read_only) as store:
            with pytest.raises(error, match="E1"):
                store.use_codebooks({"E1": codebook})
            assert {one: store.retrieve(one) for one in store} == expected


def test_a_codebook_of_another_dimension_that_is_kept_closes_no_store(path, expected):
    wide = wide_codebook()
    key = wide.codebook_id.to_bytes(4, "big")
    rewrite(path, ("meta", CODEBOOK + key, wide.to_bytes()), ("meta", LIST, key))
    with FingerprintStore.open(path) as store:
        assert store.retrieve(WITHOUT[0]) == expected[WITHOUT[0]]
        with pytest.raises(CodebookCorrupt, match="it is for 32 values"):
            store.encode([expected[WITH[0]]])


@pytest.mark.parametrize("floor", [b"", b"\xff" * 3, b"\xff" * 17])
def test_a_damaged_journal_is_begun_anew(path, expected, memories, floor):
    with FingerprintStore.open(path) as store:
        before = store.journal.position()
        store._keeper._journal.truncate(before)
    rewrite(path, ("meta", b"journal/floor", floor))
    with FingerprintStore.open(path, read_only=True) as store:
        assert store.search(memories.make(3), k=1)[0].id == WITH[2]
    with FingerprintStore.open(path) as store:
        assert store.journal.position() > 0
        assert store.journal.changes_since(before) is None
        store.store(UUID(int=900), memories.make(900))
        assert store.search(memories.make(900), k=1)[0].id == UUID(int=900)
        assert store.verify().ok


def served(store, expected, one, lost):
    """Return whether a record is served; it is never served wrongly, and named where it is not."""
    try:
        found = store.retrieve(one)
    except StorageCorruption as error:
        return one not in error.ids and pytest.fail(f"{error} does not name {one}")
    assert found == expected[one] or (found is None and one in lost)
    return found is not None


@pytest.fixture
def flipped(sound, tmp_path):
    """Return `flipped(rng)`: a copy with one bit flipped, in any file, the likelier the larger."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=base) as folder:

        def copy(rng):
            shutil.rmtree(folder, ignore_errors=True)
            path = Path(shutil.copytree(sound, Path(folder) / "s"))
            files = sorted(one for one in path.iterdir() if one.is_file() and one.stat().st_size)
            file = rng.choices(files, [one.stat().st_size for one in files])[0]
            content = bytearray(file.read_bytes())
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            file.write_bytes(content)
            return path

        yield copy
        Path(folder).mkdir(exist_ok=True)


def opened(path):
    """Return a store that opens, after a repair where it has to be, and the ids that this lost."""
    try:
        return FingerprintStore.open(path), set(), False
    except (StorageCorruption, StoreUnavailable):
        lost = repair(path).lost
        return FingerprintStore.open(path), set(lost), True


def test_random_flips_destroy_only_what_they_hit(flipped, expected, memories, request):
    tries = 3000 if request.config.getoption("--whole") else 100
    rng, repaired, whole = random.Random(11), 0, 0
    for _ in range(tries):
        store, lost, was_repaired = opened(flipped(rng))
        with store:
            found = [served(store, expected, one, lost) for one in expected]
            with suppress(StorageCorruption):
                assert {hit.id for hit in store.search(memories.make(3), k=99)} <= set(expected)
        repaired += was_repaired
        whole += all(found)
    assert repaired <= 0.15 * tries
    assert whole >= 0.9 * tries
