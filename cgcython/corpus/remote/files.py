"""Opens objects as arrays by name: their headers are read, and believed when they fit the size."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from cgcython.corpus.remote.arrays import RemoteArray
from cgcython.corpus.remote.objects import RemoteObject
from cgcython.narrow_floats import NAMED, WidenedRows
from cgcython.tensors.header import START, dtype_of, parse, parse_length

_NPY_BYTES = 1 << 10  # that hold the header of a .npy file: 128 bytes, where it has numbers
_TENSOR_BYTES = 1 << 12  # that hold most headers of .safetensors files
_HEADERS: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpyForm(NamedTuple):
    """Where the values of an array begin, their type, and its shape."""

    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


def npy_of(source: RemoteObject) -> RemoteArray:
    """Return the array of a .npy object. Raises ValueError for others."""
    first = source.read(0, min(_NPY_BYTES, source.size))
    return npy_array(source, first, 0, source.size)


def npy_array(source: RemoteObject, first: bytes, start: int, stop: int) -> RemoteArray:
    """Return the array whose .npy form takes bytes start to stop of an object.

    `first` are the bytes from start on. Raises ValueError for what is none, or is cut short.
    """
    return RemoteArray(source, *npy_form(first, start, stop))


def npy_form(first: bytes, start: int, stop: int) -> NpyForm:
    """Return the form of the array whose .npy form takes bytes start to stop.

    `first` are the bytes from start on. Raises ValueError for what is none, or is cut short.
    """
    text = BytesIO(first)
    version = np.lib.format.read_magic(text)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of .npy; save it with numpy.save")
    shape, is_fortran, dtype = _HEADERS[version](text)
    if dtype.hasobject:
        raise ValueError("Python objects; save numbers")
    if is_fortran and len(shape) > 1:
        raise ValueError("columns one after the other; save np.ascontiguousarray(array)")
    data = start + text.tell()
    if data + math.prod(shape) * dtype.itemsize > stop or min(shape, default=0) < 0:
        actual = f"an array of {list(shape)} {dtype} in {stop - data} bytes"
        raise ValueError(f"{actual}: it was cut short")
    return NpyForm(data, dtype, shape)


def tensors_of(source: RemoteObject) -> dict[str, Any]:
    """Return the arrays of a .safetensors object by name. Raises Malformed for others."""
    first = source.read(0, min(_TENSOR_BYTES, source.size))
    length = parse_length(first, source.size)
    text = first[START : START + length]
    text += source.read(START + len(text), START + length)
    data = START + length
    found: dict[str, Any] = {}
    for name, one in parse(text, source.size - data).entries.items():
        array: Any = RemoteArray(source, data + one.start, dtype_of(one.dtype), one.shape)
        found[name] = WidenedRows(array) if array.dtype in NAMED else array
    return found
