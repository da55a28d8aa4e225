"""What a later release wrote is refused by name, read past, and never repaired away."""

import struct
from uuid import UUID
from zlib import crc32

import pytest

from cgcython import tensors
from cgcython.base import ModelId
from cgcython.errors import StorageCorruption, UnsupportedVersion
from cgcython.store import RecordStore, repair
from cgcython.store.keepers.rocksdb import Database
from cgcython.store.shelf import CODEBOOK

SOUND, LATER = UUID(int=1), UUID(int=2)
E9 = bytes([ModelId.HDC]) + LATER.bytes


def resealed(data, at, byte):
    """Return bytes that end in their checksum, with one byte changed and the checksum made anew."""
    body = bytearray(data[:-4])
    body[at] = byte
    return bytes(body) + struct.pack("<I", crc32(body))


@pytest.fixture
def path(memories, tmp_path):
    """Return a store of two records."""
    path = tmp_path / "store"
    with RecordStore.open(path, memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(one.int)) for one in (SOUND, LATER))
    return path


def change(path, family, key, make):
    files = Database(path)
    files.write([(family, key, make(files.get(family, key)))])
    files.close()


def later_manifest(path):
    change(path, "records", LATER.bytes, lambda data: resealed(data, 4, 4))


def later_section(path):
    change(path, "sections", E9, lambda data: resealed(data, 1, 99))


def later_codebook(path):
    """Give every codebook a version of the future, and return their keys and values."""
    files = Database(path)
    rows = dict(files.scan("meta", CODEBOOK))
    for key, data in rows.items():
        rows[key] = with_version(data, "2")
    files.write([("meta", key, data) for key, data in rows.items()])
    files.close()
    return rows


def with_version(data, version):
    arrays, texts = tensors.from_bytes(data)
    return tensors.to_bytes(arrays, {**texts, "version": version})


@pytest.mark.parametrize(
    ("make", "what"),
    [(later_manifest, "version 4, this release reads 1 to 3"), (later_section, "layout 99")],
)
def test_a_record_of_a_later_release_is_named_and_the_others_are_read(path, make, what):
    make(path)
    with RecordStore.open(path) as store:
        with pytest.raises(
            UnsupportedVersion, match=f"{LATER}.*{what}.*the release that"
        ) as caught:
            store.retrieve(LATER)
        assert caught.value.ids == (LATER,)
        assert store.retrieve(SOUND) is not None
        ((one, reasons),) = store.check().problems.items()
        assert (one, "of another release" in reasons[0]) == (LATER, True)


@pytest.mark.parametrize("make", [later_manifest, later_section])
def test_a_repair_leaves_it_alone(path, make):
    make(path)
    before = sorted(one.name for one in path.parent.iterdir())
    with pytest.raises(UnsupportedVersion, match=str(LATER)) as caught:
        repair(path)
    assert caught.value.ids == (LATER,)
    assert sorted(one.name for one in path.parent.iterdir()) == before
    with RecordStore.open(path) as store:
        assert list(store) == [SOUND, LATER]


def test_a_byte_that_only_looks_like_a_later_version_is_damage(path):
    change(path, "records", LATER.bytes, lambda data: data[:4] + b"\x04" + data[5:])
    with RecordStore.open(path) as store:
        with pytest.raises(StorageCorruption, match=r"version 4.*its checksum differs") as caught:
            store.retrieve(LATER)
        assert type(caught.value) is StorageCorruption
    assert list(repair(path).lost) == [LATER]


def test_codebooks_of_a_later_release_are_named_and_kept(path):
    rows = later_codebook(path)
    with RecordStore.open(path) as store:
        with pytest.raises(UnsupportedVersion, match=r"codebook 0x.*its version is '2'"):
            store.retrieve(SOUND)
        assert store.quantized(SOUND, "E9") is not None
        assert all("cannot be read" in one[0] for one in store.check().others.values())
    repair(path, path.with_name("copy"))
    files = Database(path.with_name("copy"))
    assert dict(files.scan("meta", CODEBOOK)) == rows
    files.close()
