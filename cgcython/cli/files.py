"""Arrays of a .npy, .npz or .safetensors file, by name; mapped where the format allows it."""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from cgcython.errors import InvalidInput

ONLY = ""  # the name of the one array in a .npy file
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"} | {
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def open_arrays(path):
    """Return a mapping from names to the arrays of a file.

    Raises InvalidInput when it is not what its suffix says, FileNotFoundError when it is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    readers = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}
    try:
        return readers[path.suffix](path)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path, error):
    return InvalidInput(what=str(path), expected=f"a {path.suffix} file", actual=error)


def _npy(path):
    return {ONLY: np.load(path, mmap_mode="r", allow_pickle=False)}


def _npz(path):
    return _Archive(path, np.load(path, allow_pickle=False))


class _Archive(dict):
    """Reads each array of an .npz when it is first asked for, and once."""

    def __init__(self, path, archive):
        super().__init__(dict.fromkeys(archive.files))
        self._path, self._archive = path, archive

    def __getitem__(self, name):
        array = super().__getitem__(name)
        if array is None:
            try:
                array = self[name] = self._archive[name]
            except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
                raise _unreadable(self._path, error) from None
        return array


def _safetensors(path):
    with safe_open(path, framework="numpy"):  # checks the header and every extent
        pass
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return {name: _mapped(path, 8 + size, name, tensor) for name, tensor in header.items()}


def _mapped(path, start, name, tensor):
    dtype = DTYPES.get(tensor["dtype"])
    if dtype is None:
        raise ValueError(f"tensor {name} is {tensor['dtype']}, expected {', '.join(DTYPES)}")
    offset, shape = start + tensor["data_offsets"][0], tuple(tensor["shape"])
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape)
