"""The metadata of a head is what its Manifest says, of every version."""

import pytest

from cgcython.base import ModelId
from cgcython.manifest import Manifest
from cgcython.store.where.heads import metadata_text


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 13])
def test_heads_of_all_versions(version, count):
    text = b'{"a":"b"}' if version > 1 else b""
    checksums = dict.fromkeys(list(ModelId)[:count], 7)
    assert metadata_text(Manifest(checksums, 5, 6, text, version).to_bytes()) == text


def test_what_is_no_manifest_has_none():
    whole = Manifest.now({ModelId.HDC: 7}).to_bytes()
    later = Manifest({}, version=4).to_bytes()
    for head in (b"", b"CGFP", whole[:-1], whole[:9] + b"\xff" + whole[10:], later):
        assert metadata_text(head) is None
