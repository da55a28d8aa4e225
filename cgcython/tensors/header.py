"""The header of a safetensors file: what it says is checked before any of it is believed.

A file is u64 length (little-endian), a header of that length (JSON), and the bytes of the arrays.
The header maps each name to a dtype, a shape and the place of its bytes, and `__metadata__` to
texts. One of these texts, SEAL, is a checksum of everything else in the header; files of other
packages and of earlier releases have none.
"""

import json
import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np

from cgcython import strict_json
from cgcython.checksums import crc32
from cgcython.narrow_floats import BFLOAT16, E4M3, E5M2
from cgcython.tensors.damage import Malformed

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
# Read from files of other packages; this package writes none.
NARROW = {"BF16": BFLOAT16, "F8_E4M3": E4M3, "F8_E5M2": E5M2}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
TEXTS = "__metadata__"
SEAL = "cgcython_header_crc32"
START = 8  # bytes before the header, which are its length
ALIGNMENT = 64  # of the arrays' first byte
MOST_BYTES = 100_000_000  # of a header, as safetensors has it
MOST_AXES = 32
MOST_ELEMENTS = np.iinfo(np.intp).max
_SEALED = re.compile(r"crc32:[0-9a-f]{8}")


class Entry(NamedTuple):
    """One array: its dtype by the names of safetensors, its shape, and where its bytes are."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Header(NamedTuple):
    """What a header says: arrays by name, in the order of the file, and texts by key."""

    entries: dict[str, Entry]
    texts: dict[str, str]


def header_bytes(header: Header) -> bytes:
    """Return the length and the header of a file; where it has texts, with their seal.

    Equal headers give equal bytes.
    """
    named: dict[str, object] = {}
    if header.texts:
        named[TEXTS] = dict(sorted({**header.texts, SEAL: _seal(header)}.items()))
    for name, one in header.entries.items():
        place = [one.start, one.stop]
        named[name] = {"dtype": one.dtype, "shape": one.shape, "data_offsets": place}
    text = json.dumps(named, separators=(",", ":")).encode()
    text += b" " * (-(START + len(text)) % ALIGNMENT)
    return len(text).to_bytes(START, "little") + text


def parse_length(first: bytes, size: int) -> int:
    """Return the length of the header of a file of `size` bytes from its first bytes."""
    if len(first) < START:
        raise Malformed(f"{len(first)} bytes are no safetensors file")
    length = int.from_bytes(first[:START], "little")
    if length > min(size - START, MOST_BYTES):
        raise Malformed(f"a header of {length} bytes was announced, {size - START} bytes follow")
    return length


def parse(text: bytes, data_size: int) -> Header:
    """Return the Header of its bytes, of a file with `data_size` bytes behind it.

    Raises Malformed unless names, dtypes, shapes and texts are what they should be, the arrays
    cover all bytes once, and the seal, where there is one, is that of the rest.
    """
    try:
        named = strict_json.parse_object(text)
        if not text.startswith(b"{"):
            raise ValueError("it begins with a space")
    except ValueError as error:
        raise Malformed(f"its header is no JSON that can be read: {error}") from None
    texts = _texts(named.pop(TEXTS, {}))
    seal = texts.pop(SEAL, None)
    header = Header({name: _entry(name, one) for name, one in named.items()}, texts)
    _require_sound_names(header)
    _require_all_covered(header.entries, data_size)
    if seal is not None and seal != _seal(header):
        raise Malformed("the checksum of its header differs")
    if seal is None and _has_altered_seal(texts):
        raise Malformed("the checksum of its header has lost its name")
    return header


def _has_altered_seal(texts: Mapping[str, str]) -> bool:
    """Return whether a text is what changes of some bytes make of a seal: by name or by value."""
    return bool(get_close_matches(SEAL, texts, 1)) or any(map(_SEALED.search, texts.values()))


def _texts(found: Any) -> dict[str, str]:
    if type(found) is not dict or any(type(text) is not str for text in found.values()):
        raise Malformed(f"its {TEXTS} are not texts")
    return found


def _entry(name: str, found: Any) -> Entry:
    if type(found) is not dict or found.keys() != {"dtype", "shape", "data_offsets"}:
        raise Malformed(f"array {name} has no dtype, shape and data_offsets, or has more")
    dtype, shape, place = found["dtype"], found["shape"], found["data_offsets"]
    if type(dtype) is not str or not (dtype in DTYPES or dtype in NARROW):
        known = ", ".join([*DTYPES, *NARROW])
        raise Malformed(f"array {name} is {dtype!r:.40}, expected {known}; save it as F32")
    if not _are_counts(shape) or len(shape) > MOST_AXES:
        raise Malformed(f"array {name} has the shape {shape!r:.60}")
    if not _are_counts(place) or len(place) != 2 or place[0] > place[1]:
        raise Malformed(f"array {name} lies at {place!r:.60}")
    size = dtype_of(dtype).itemsize
    if math.prod(filter(None, shape)) * size > MOST_ELEMENTS:
        raise Malformed(f"array {name} has the shape {shape!r:.60}")
    if math.prod(shape) * size != place[1] - place[0]:
        raise Malformed(f"array {name}, {dtype} {shape}, does not take {place[1] - place[0]} bytes")
    return Entry(dtype, tuple(shape), *place)


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of an array by its name in a header."""
    return NARROW[name] if name in NARROW else np.dtype(DTYPES[name])


def _are_counts(found: Any) -> bool:
    """Return whether something is a list of whole numbers from 0 on; true and false are none."""
    return type(found) is list and all(type(one) is int and one >= 0 for one in found)


def _require_sound_names(header: Header) -> None:
    try:
        "".join([*header.entries, *header.texts, *header.texts.values()]).encode()
    except UnicodeEncodeError as error:
        raise Malformed(f"its header is no Unicode text: {error}") from None


def _require_all_covered(entries: Mapping[str, Entry], data_size: int) -> None:
    end = 0
    for name, one in sorted(entries.items(), key=lambda item: item[1][2:]):
        if one.start != end:
            raise Malformed(f"array {name} begins at {one.start}, the one before it ends at {end}")
        end = one.stop
    if end != data_size:
        raise Malformed(f"its arrays take {end} bytes, {data_size} are there")


def _seal(header: Header) -> str:
    """Return the checksum of names, dtypes, shapes and texts, whatever their order, as JSON."""
    lines = [f"{name} {one.dtype} {list(one.shape)}" for name, one in header.entries.items()]
    texts = [f"{key} {len(text.encode())}\n{text}" for key, text in header.texts.items()]
    content = "\n".join([*sorted(lines), *sorted(texts)])
    return f'"crc32:{crc32(content.encode()):08x}"'
