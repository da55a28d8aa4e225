"""A manifest says what whole means, and what it says cannot be otherwise."""

import json
import zlib

import pytest

from cgcython.errors import FileUnavailable, StorageCorruption, UnsupportedVersion
from cgcython.store.shard_manifest import (
    MANIFEST_KIND,
    ShardEntry,
    ShardManifest,
    manifest_path,
    read_manifest,
    shard_count,
    write_manifest,
)

HASH = "ab" * 32
ENTRIES = tuple(ShardEntry(i, 8 * i, rows, HASH) for i, rows in enumerate((8, 8, 4)))
WHOLE = ShardManifest(20, 8, {"E1": HASH, "minilm": HASH}, HASH, ENTRIES)


def altered(**changes):
    """Return what a manifest's file holds, with some changes under a checksum of their own."""
    entries = [one._asdict() for one in ENTRIES]
    return {**WHOLE._asdict(), "codebooks": dict(WHOLE.codebooks), "entries": entries, **changes}


def entry(**changes):
    entries = [one._asdict() for one in ENTRIES]
    return {"entries": [entries[0], entries[1] | changes, entries[2]]}


def test_what_was_written_is_read(tmp_path):
    assert read_manifest(tmp_path) is None
    write_manifest(tmp_path, WHOLE)
    assert read_manifest(tmp_path) == WHOLE
    before = manifest_path(tmp_path).read_bytes()
    write_manifest(tmp_path, WHOLE._replace(codebooks=dict(reversed(WHOLE.codebooks.items()))))
    assert manifest_path(tmp_path).read_bytes() == before


def test_no_memories_take_one_shard(tmp_path):
    write_manifest(tmp_path, WHOLE._replace(memories=0, entries=(ShardEntry(0, 0, 0, HASH),)))
    assert shard_count(0, 8) == len(read_manifest(tmp_path).entries) == 1


HOSTILE = {
    "huge": {"memories": 10**30},
    "more than there are": {"memories": 2**62},
    "one shard for all": {"shard_size": 2**62},
    "negative": {"memories": -20},
    "no size": {"shard_size": 0},
    "true": {"memories": True},
    "half": {"memories": 20.0},
    "no list": {"entries": {"0": 1}},
    "nothing": {"entries": None},
    "unknown": {"path": "/etc/passwd"},
    "overlap": entry(first=4),
    "negative number": entry(number=-1),
    "negative rows": entry(rows=-8),
    "twice": entry(number=0, first=0),
    "truth": entry(number=True),
    "a path": entry(sha256="../../etc/passwd"),
    "no hash": entry(sha256=None),
    "more": entry(path="/etc/passwd"),
    "an entry": {"entries": [1, 2, 3]},
    "books": {"codebooks": [HASH]},
    "a book": {"codebooks": {"E1": 7}},
    "another spelling": {"codebooks": {"e1": HASH}},
    "a folder": {"codebooks": {"../E1": HASH}},
    "profile": {"profile_sha256": "AB" * 32},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_what_no_folder_can_be_is_damage(tmp_path, changes):
    MANIFEST_KIND.write(manifest_path(tmp_path), altered(**changes))
    with pytest.raises(StorageCorruption, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 10**5, b"9" * 10**5])
def test_other_bytes_are_damage(tmp_path, content):
    manifest_path(tmp_path).write_bytes(content)
    with pytest.raises(StorageCorruption, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)


def test_every_changed_byte_is_noticed(tmp_path):
    write_manifest(tmp_path, WHOLE)
    whole = manifest_path(tmp_path).read_bytes()
    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1
        manifest_path(tmp_path).write_bytes(changed)
        with pytest.raises(StorageCorruption):
            read_manifest(tmp_path)


def test_the_checksum_is_that_of_the_bytes_with_zeros_in_its_place(tmp_path):
    write_manifest(tmp_path, WHOLE)
    data = manifest_path(tmp_path).read_bytes()
    told = json.loads(data)["crc32"]
    assert f"{zlib.crc32(data.replace(told.encode(), b'00000000')):08x}" == told


def test_a_later_version_is_told(tmp_path):
    write_manifest(tmp_path, WHOLE)
    found = json.loads(manifest_path(tmp_path).read_text())
    manifest_path(tmp_path).write_text(json.dumps({**found, "version": "2"}))
    with pytest.raises(UnsupportedVersion, match="version is '2'"):
        read_manifest(tmp_path)


def test_what_is_no_file_is_no_manifest(tmp_path):
    manifest_path(tmp_path).mkdir()
    with pytest.raises(FileUnavailable, match="Is a directory"):
        read_manifest(tmp_path)
