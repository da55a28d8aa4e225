"""Arrays of a .npy, .npz or .safetensors file, by name; mapped where the format allows it."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from safetensors import SafetensorError

from cgcython.errors import InvalidInput
from cgcython.tensors import read_tensors

ONLY = ""  # the name of the one array in a .npy file
DAMAGE = (ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


def open_arrays(path):
    """Return a mapping from names to the arrays of a file.

    Raises InvalidInput when it is not what its suffix says, FileNotFoundError when it is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return _READERS[path.suffix](path)
    except (*DAMAGE, SafetensorError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path, error):
    return InvalidInput(what=str(path), expected=f"a {path.suffix} file", actual=error)


def _npy(path):
    return {ONLY: np.load(path, mmap_mode="r", allow_pickle=False)}


def _safetensors(path):
    return read_tensors(path)[0]


class _Archive(dict):
    """Reads each array of an .npz when it is first asked for, and once."""

    def __init__(self, path):
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one array, not an archive")
        super().__init__(dict.fromkeys(archive.files))
        self._path, self._archive = path, archive

    def __getitem__(self, name):
        if super().__getitem__(name) is None:
            try:
                self[name] = self._archive[name]
            except DAMAGE as error:
                raise _unreadable(self._path, error) from None
        return super().__getitem__(name)


_READERS = {".npy": _npy, ".npz": _Archive, ".safetensors": _safetensors}
