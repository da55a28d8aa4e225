"""Named arrays in one safetensors file: written whole, mapped without a copy when read."""

import json

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from cgcython.files import write_whole

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


def read_tensors(path):
    """Return (arrays by name, metadata) of a file, the arrays mapped and read-only.

    Raises ValueError or SafetensorError for any other file.
    """
    with safe_open(path, framework="numpy"):  # checks the header and every extent
        pass
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    metadata = header.pop("__metadata__", {})
    data = np.memmap(path, np.uint8, "r") if header else b""
    return {name: _view(data, 8 + size, name, one) for name, one in header.items()}, metadata


def _view(data, start, name, tensor):
    dtype = DTYPES.get(tensor["dtype"])
    if dtype is None:
        raise ValueError(f"array {name} is {tensor['dtype']}, expected {', '.join(DTYPES)}")
    begin, end = tensor["data_offsets"]
    return data[start + begin : start + end].view(dtype).reshape(tensor["shape"])


def write_tensors(path, arrays, metadata=None):
    """Write arrays and text metadata to a file, whole or not at all."""
    # safetensors writes the memory of an array as it lies, so it has to lie in C order.
    content = save({name: np.ascontiguousarray(one) for name, one in arrays.items()}, metadata)
    write_whole(path, content)
