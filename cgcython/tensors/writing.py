"""Writes safetensors files: equal content gives equal bytes, and no array is copied for it."""

from collections.abc import Mapping

import numpy as np

from cgcython.errors import InvalidInput
from cgcython.files import write_whole
from cgcython.tensors.header import NAMES, Entry, Header, header_bytes
from cgcython.types import Array, BytesLike, StrPath


def write_tensors(
    path: StrPath, arrays: Mapping[str, Array], texts: Mapping[str, str] | None = None
) -> None:
    """Write arrays and texts to a file, whole or not at all.

    Raises InvalidInput for arrays that are no numbers and for texts that are not Unicode.
    """
    write_whole(path, _parts(arrays, texts or {}))


def to_bytes(arrays: Mapping[str, Array], texts: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of the file that `write_tensors` writes."""
    return b"".join(_parts(arrays, texts or {}))


def _parts(arrays: Mapping[str, Array], texts: Mapping[str, str]) -> list[BytesLike]:
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    # Wide numbers first, so that all of them lie at multiples of their width.
    plain = dict(sorted(plain.items(), key=lambda item: (-item[1].itemsize, item[0])))
    entries, end = {}, 0
    for name, array in plain.items():
        start, end = end, end + array.nbytes
        entries[name] = Entry(NAMES[array.dtype.str], array.shape, start, end)
    for key, text in {**dict.fromkeys(plain, ""), **texts}.items():
        _require_unicode(key, text)
    views: list[BytesLike] = [one.reshape(-1).view(np.uint8).data for one in plain.values()]
    return [header_bytes(Header(entries, dict(texts))), *views]


def _plain(name: str, array: Array) -> Array:
    """Return an array in C order and little-endian, as the file has it."""
    found = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if found.dtype.str not in NAMES:
        expected = "numbers of 1 to 8 bytes"
        raise InvalidInput(what=f"array {name}", expected=expected, actual=array.dtype)
    return found


def _require_unicode(key: str, text: str) -> None:
    try:
        f"{key}{text}".encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(what=f"text {key!r}", expected="Unicode", actual=error) from None
