"""Reads safetensors files: the header checked, the arrays mapped where they lie."""

import mmap
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from cgcython.errors import StorageCorruption
from cgcython.files import as_path
from cgcython.system import advise, at_once
from cgcython.tensors.damage import Malformed
from cgcython.tensors.header import START, Entry, Header, dtype_of, parse, parse_length
from cgcython.types import Array, BytesLike, StrPath, UInt8Array


class Tensors(NamedTuple):
    """The arrays of a file by name, read-only, and its texts by key."""

    arrays: dict[str, Array]
    texts: dict[str, str]


def read_tensors(path: StrPath) -> Tensors:
    """Return what a safetensors file holds, the arrays mapped and not read yet.

    The file is opened once, so that one which is replaced meanwhile is read as it was. One that is
    cut short *after* it was mapped cannot be noticed by who reads the arrays: the system ends the
    process (SIGBUS). `require_whole` tells it before; this package replaces its files whole and
    never shortens them. Raises Malformed for any other file, OSError where it cannot be opened.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = parse_length(file.read(START), size)
        header = parse(_exactly(file, length), size - START - length)
        data: UInt8Array = np.empty(0, np.uint8)
        if size > START + length:
            data = np.memmap(file, np.uint8, "r", shape=(size,))
    return _tensors(header, data, START + length)


@contextmanager
def open_regular(path: StrPath) -> Iterator[BinaryIO]:
    """Yield a regular file, open for reading.

    Raises Malformed for pipes and devices, OSError where there is nothing that can be opened.
    """
    with open(as_path(path), "rb", opener=_opened_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Malformed("it is no regular file")
        yield file


def from_bytes(data: BytesLike) -> Tensors:
    """Return what the bytes of a safetensors file hold; the arrays lie in these bytes."""
    whole = bytes(memoryview(data))  # of a number, bytes() makes as many zeros
    length = parse_length(whole[:START], len(whole))
    header = parse(whole[START : START + length], len(whole) - START - length)
    return _tensors(header, np.frombuffer(whole, np.uint8), START + length)


def mapped_among(values: Iterable[object]) -> list[Array]:
    """Return an array of each file in which arrays among some values are mapped."""
    found = {}
    for one in values:
        if isinstance(one, np.ndarray):
            file = getattr(_mapped_owner(one), "_mmap", None)
            if file is not None:
                found[id(file)] = one
    return list(found.values())


def give_back(arrays: Iterable[object]) -> None:
    """Take the pages of maps among some arrays out of memory; they come back when they are read.

    The system counts pages of a map that were read as memory of the process.
    """
    for one in mapped_among(arrays):
        owner = _mapped_owner(one)
        mapped: mmap.mmap | None = getattr(owner, "_mmap", None)
        if mapped is not None and owner is not None and owner.mode == "r":
            advise(mapped, "MADV_DONTNEED")


def require_whole(array: Array) -> None:
    """Raise StorageCorruption if the file in which an array is mapped was cut short since.

    Whoever reads the array then would be ended by the system. Arrays in memory are always whole.
    """
    owner = _mapped_owner(array)
    mapped: mmap.mmap | None = getattr(owner, "_mmap", None)
    if owner is None or mapped is None:
        return
    whole = owner.offset - owner.offset % mmap.ALLOCATIONGRANULARITY + len(mapped)
    if mapped.size() < whole:
        reason = f"it was cut short to {mapped.size()} of {whole} bytes"
        raise StorageCorruption(where=str(owner.filename), reason=reason)


def _mapped_owner(array: object) -> "np.memmap[Any, Any] | None":
    """Return the first of an array and what it is a view of that is mapped."""
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array


def _opened_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe would otherwise be waited for."""
    return os.open(path, flags | at_once())


def _exactly(file: BinaryIO, length: int) -> bytes:
    text = file.read(length)
    if len(text) != length:
        raise Malformed(f"its header ends after {len(text)} of {length} bytes")
    return text


def _tensors(header: Header, data: UInt8Array, start: int) -> Tensors:
    arrays = {name: _view(data, start, one) for name, one in header.entries.items()}
    return Tensors(arrays, header.texts)


def _view(data: UInt8Array, start: int, one: Entry) -> Array:
    dtype = dtype_of(one.dtype)
    if one.start == one.stop:
        return np.empty(one.shape, dtype)
    return data[start + one.start : start + one.stop].view(dtype).reshape(one.shape)
