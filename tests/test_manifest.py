"""A manifest is believed only as it was written; metadata comes back as it went in."""

import json
import struct
import time
from contextlib import nullcontext
from datetime import UTC, date, datetime
from hashlib import blake2b
from types import MappingProxyType
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython.base import ModelId, Profile
from cgcython.errors import InvalidInput, StorageCorruption, UnsupportedVersion
from cgcython.manifest import MOST_METADATA_BYTES, Manifest, listed_crcs, listed_sections, to_text

CHECKSUMS = {ModelId.SEMANTIC: 0, ModelId.HDC: 0xFFFFFFFF}
NESTED = {"a": [1, -2.5, None, True, {"b": "ü"}], "": {}}
MANIFEST = Manifest(CHECKSUMS, created=1, updated=2**64 - 1).with_info(metadata=NESTED)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def with_text(text, count=0, version=2):
    """Return a sound manifest around any metadata, as someone would who knows the format."""
    body = struct.pack("<4sBBHQQI", b"CGFP", version, count, 0, 1, 2, len(text)) + text
    return body + struct.pack("<I", crc32(body))


def resealed(data):
    return data[:-4] + struct.pack("<I", crc32(data[:-4]))


def test_it_round_trips():
    assert Manifest.from_bytes(MANIFEST.to_bytes()) == MANIFEST
    assert MANIFEST.info.metadata == NESTED
    assert (MANIFEST.info.created, MANIFEST.info.updated) == (1, 2**64 - 1)


def test_it_takes_the_bytes_the_format_says():
    thirteen = Manifest.now(dict.fromkeys(ModelId, 7))
    assert len(thirteen.to_bytes()) == 97
    assert len(thirteen.with_info(metadata={"a": 1}).to_bytes()) == 97 + len('{"a":1}')


def test_now_is_now():
    before = time.time_ns() // 1000
    manifest = Manifest.now(CHECKSUMS)
    assert before <= manifest.created == manifest.updated <= time.time_ns() // 1000


def test_times_that_nobody_noted_are_none():
    manifest = Manifest(CHECKSUMS)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert (manifest.info.created, manifest.info.updated, manifest.info.metadata) == (
        None,
        None,
        {},
    )


def test_the_first_version_is_read_and_written_as_it_was():
    body = struct.pack("<4sBBHBIBI", b"CGFP", 1, 2, 0, 0, 0, 8, 0xFFFFFFFF)
    data = body + struct.pack("<I", crc32(body))
    manifest = Manifest.from_bytes(data)
    assert manifest == Manifest(CHECKSUMS, version=1)
    assert manifest.to_bytes() == data
    assert manifest.info.content_hash == MANIFEST.info.content_hash
    assert manifest.with_info(updated=5).to_bytes()[4] == 2


def test_the_content_hash_is_that_of_the_entries():
    expected = blake2b(bytes.fromhex("000000000008ffffffff"), digest_size=16).digest()
    assert MANIFEST.info.content_hash == expected
    assert Manifest.now({ModelId.HDC: 1}).info.content_hash != expected


def test_one_section_is_replaced_without_the_others():
    section = b"a section and its checksum\x01\x00\x00\x00"
    changed = MANIFEST.replaced({ModelId.SPARSE: section, ModelId.HDC: None})
    assert list(changed.checksums.items()) == [(ModelId.SEMANTIC, 0), (ModelId.SPARSE, 1)]
    assert changed.info.metadata == NESTED
    assert changed.created == MANIFEST.created
    assert abs(changed.updated - time.time_ns() // 1000) < 60_000_000


def test_other_times_and_metadata_leave_the_rest():
    assert MANIFEST.with_info() == MANIFEST
    assert MANIFEST.with_info(created=9) == MANIFEST._replace(created=9)
    assert MANIFEST.with_info(metadata={}) == MANIFEST._replace(text=b"")


@pytest.mark.parametrize("moment", [0, -1, 2**64, 1.5, "now", float("nan")])
def test_times_that_are_none_are_refused(moment):
    with pytest.raises(InvalidInput, match="updated: expected microseconds"):
        MANIFEST.with_info(updated=moment)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON))
def test_metadata_comes_back_as_it_went_in(metadata):
    text = to_text(metadata) if _levels(metadata) <= 32 else None
    if text is not None:
        assert Manifest.from_bytes(with_text(text)).info.metadata == metadata


def _levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, (dict, list)) + max(map(_levels, inner), default=0)


def nested(levels):
    value = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def circular():
    value = {}
    value["a"] = value
    return value


@pytest.mark.parametrize(
    "metadata",
    [
        None, [], "text", 5, {"a": float("nan")}, {"a": float("inf")}, {"a": b"bytes"},
        {"a": object()}, {"a": (1, 2)}, {1: "a"}, {"a": {None: 1}}, {1: 1, "1": 2}, {"a": "\ud800"},
        {"a": 10**5000}, nested(33), nested(100_000), circular(), {"a": "x" * MOST_METADATA_BYTES},
    ],
    ids=lambda metadata: type(metadata).__name__,
)  # fmt: skip
def test_what_json_does_not_give_back_is_refused(metadata):
    with pytest.raises(InvalidInput, match="metadata: expected a JSON object"):
        to_text(metadata)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("text"), "text"),
        (np.array([[1, 2]], np.uint8), [[1, 2]]),
        (np.array(["2024-02-29"], "M8[D]"), ["2024-02-29"]),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 12, 30, tzinfo=UTC), "2024-02-29T12:30:00+00:00"),
        (np.datetime64("2024-02-29T12:30:00.123456789"), "2024-02-29T12:30:00.123456789"),
        (MappingProxyType({"inner": np.uint8(3)}), {"inner": 3}),
    ],
    ids=lambda one: type(one).__name__,
)
def test_numbers_of_numpy_and_dates_are_kept_as_json_has_them(value, kept):
    found = MANIFEST.with_info(metadata={"a": value, "b": [value]}).info.metadata
    assert found == {"a": kept, "b": [kept]}


@pytest.mark.parametrize(
    "value",
    [np.float32("nan"), np.datetime64("NaT", "ns"), np.timedelta64(5, "ns"), np.complex64(1)],
)
def test_what_json_has_no_value_for_is_refused(value):
    with pytest.raises(InvalidInput, match="metadata: expected a JSON object"):
        to_text({"a": value})


def test_the_limit_of_metadata_is_named():
    with pytest.raises(InvalidInput, match=r"at most 65536 bytes \(64 KiB\), got 70008 bytes"):
        to_text({"a": "x" * 70_000})


def test_the_deepest_and_largest_metadata_are_kept():
    largest = {"a": "x" * (MOST_METADATA_BYTES - len('{"a":""}'))}
    for metadata in (nested(32), largest):
        text = to_text(metadata)
        assert Manifest.from_bytes(with_text(text)).info.metadata == metadata


@pytest.mark.parametrize(
    "text",
    [
        b"{", b"[]", b"5", b"null", b'"a"', b"{} {}", b'{"a":NaN}', b'{"a":-Infinity}',
        b'{"a":1e999}', b'{"a":1,"a":2}', b'{"a":"\xff"}', b"\xef\xbb\xbf{}",
        b'{"a":' + b"9" * 5000 + b"}", b"[" * 60_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", b'{"a":"' + b"x" * MOST_METADATA_BYTES + b'"}',
    ],
    ids=range(17),
)  # fmt: skip
def test_hostile_metadata_is_damage(text):
    with pytest.raises(StorageCorruption, match="its metadata is"):
        Manifest.from_bytes(with_text(text))


def test_every_flipped_bit_is_found():
    data = MANIFEST.to_bytes()
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        with pytest.raises(StorageCorruption):
            Manifest.from_bytes(bytes(damaged))


def test_every_truncation_and_extension_is_found():
    data = MANIFEST.to_bytes()
    for end in range(len(data)):
        with pytest.raises(StorageCorruption):
            Manifest.from_bytes(data[:end])
    with pytest.raises(StorageCorruption, match="1 bytes follow"):
        Manifest.from_bytes(data + b"\0")


@settings(max_examples=300, deadline=None)
@given(st.integers(4, 27), st.integers(0, 255))
def test_resealed_damage_is_refused_or_another_sound_manifest(at, value):
    data = bytearray(MANIFEST.to_bytes())
    data[at] = value
    is_time = 8 <= at < 24
    unchanged = bytes(data) == MANIFEST.to_bytes()
    is_newer = (at, value) == (4, 3)  # which may list the same embedders
    with nullcontext() if is_time or unchanged or is_newer else pytest.raises(StorageCorruption):
        found = Manifest.from_bytes(resealed(bytes(data)), profile=Profile.named())
        assert found.checksums == CHECKSUMS


@pytest.mark.parametrize("version", [0, 4, 255])
def test_other_versions_are_refused_by_name(version):
    with pytest.raises(UnsupportedVersion, match=f"version {version}, this release reads 1 to 3"):
        Manifest.from_bytes(with_text(b"", version=version), "record 7")


def test_an_embedder_listed_twice_or_unknown_is_refused():
    for second in (0, 13):
        body = struct.pack("<4sBBHQQIBIBI", b"CGFP", 2, 2, 0, 1, 2, 0, 0, 5, second, 5)
        with pytest.raises(StorageCorruption, match="lists the embedders"):
            Manifest.from_bytes(body + struct.pack("<I", crc32(body)))


def test_the_text_is_plain_json():
    assert json.loads(MANIFEST.text) == NESTED


def test_checksums_are_found_without_parsing():
    rng = np.random.default_rng(0)
    for count in (1, 5, 13):
        some = sorted(rng.choice(13, count, replace=False).tolist())
        heads = [
            Manifest.now({ModelId(one): int(rng.integers(1 << 32)) for one in some}).with_info(
                metadata={"x": "y" * int(rng.integers(9))}
            )
            for _ in range(4)
        ]
        listed = [Manifest.to_bytes(one) for one in heads]
        for model_id in ModelId:
            crcs = [one.checksums.get(model_id) for one in heads]
            expected = [None if crc is None else crc.to_bytes(4, "little") for crc in crcs]
            assert [listed_sections(one).get(model_id) for one in listed] == expected
            together = None if expected[0] is None else b"".join(expected)
            assert listed_crcs(listed, model_id) == together


def test_checksums_of_unlike_or_damaged_manifests_are_not_taken_together():
    whole = Manifest.now({ModelId.HDC: 7}).to_bytes()
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    more = Manifest.now({ModelId.HDC: 7, ModelId.SPLADE: 8}).to_bytes()
    other = Manifest.now({ModelId.GRAPH: 7}).to_bytes()
    for odd in (damaged, more, other, b"", b"\0" * 4):
        assert listed_crcs([whole, odd], ModelId.HDC) is None
    for cut in (b"", b"\0" * 4, whole[:5], whole[:-8]):
        assert listed_sections(cut).get(ModelId.HDC, b"") in (b"", whole[-8:-4])
