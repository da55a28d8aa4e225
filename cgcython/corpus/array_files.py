"""Opens files and objects as arrays by name: mapped, or read by rows; and tables as columns."""

import lzma
import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.corpus.remote.archives import FIRST_BYTES, archive_of, stretch_of
from cgcython.corpus.remote.arrays import RemoteArrays
from cgcython.corpus.remote.files import npy_form, npy_of, tensors_of
from cgcython.corpus.remote.objects import RemoteObject
from cgcython.corpus.remote.urls import InputPlace, Url, input_place
from cgcython.corpus.table_files import ARROW, PARQUET, read_table
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.narrow_floats import NAMED, WidenedRows
from cgcython.tensors import read_tensors
from cgcython.types import Array, StrPath

ONLY = ""  # the name of the one array in a .npy file
ARCHIVE = ".npz"
# What numpy, zipfile and our reader raise at content that is not what it claims to be.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    OverflowError,
    RuntimeError,  # an encrypted archive, a compression that zipfile does not know
    SyntaxError,
    tokenize.TokenError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


def open_arrays(place: StrPath | Url, checked: bool = False) -> Mapping[str, Array]:
    """Return a mapping from names to the arrays of a file, or of an object at a URL.

    Files are mapped; of objects only headers are read. An archive is read, and its checksums are
    compared, unless it was `checked` before: then what is not compressed is mapped. Raises
    InvalidInput when it is not what its suffix says, FileNotFoundError when a file is missing,
    FileUnavailable for an object.
    """
    place = input_place(place)
    if not isinstance(place, Url) and not place.is_file():
        raise FileNotFoundError(f"{place}: no such file")
    try:
        if isinstance(place, Url):
            return _of_url(place)
        if place.suffix == ARCHIVE:
            return _Archive(place, checked)
        return _READERS[place.suffix](place)
    except QuantizationError:
        raise
    except _DAMAGE as error:
        raise _unreadable(place, error) from None


def _unreadable(place: InputPlace, error: Exception) -> InvalidInput:
    return InvalidInput(what=str(place), expected=f"a {place.suffix} file", actual=error)


def _of_url(url: Url) -> Mapping[str, Array]:
    read = _OBJECT_READERS.get(url.suffix)
    if read is None:
        known = ", ".join(_OBJECT_READERS)
        raise UsageError(f"{url}: of URLs {known} are read; save it as one, or download it")
    source = RemoteObject(url)
    return RemoteArrays(source, read(source))


def _npy(path: Path) -> Mapping[str, Array]:
    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(found, np.ndarray):
        found.close()
        raise ValueError("an archive; name it .npz")
    return {ONLY: found}


def _safetensors(path: Path) -> Mapping[str, Array]:
    arrays, _ = read_tensors(path)
    found: dict[str, Any] = {  # what widens its rows is as good as an array
        name: WidenedRows(one) if one.dtype in NAMED else one for name, one in arrays.items()
    }
    return found


def _table(path: Path) -> Mapping[str, Array]:
    columns: dict[str, Any] = dict(read_table(path))  # what makes arrays of its rows
    return columns


class _Archive(Mapping[str, Array]):
    """The arrays of an .npz file, each read when it is first asked for, and once."""

    def __init__(self, path: Path, checked: bool) -> None:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("one array; name it .npy")
        self._path, self._archive, self._checked = path, archive, checked
        self._read: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = self._array(name)
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._archive.files

    def _array(self, name: str) -> Array:
        try:
            mapped = self._mapped(name) if self._checked else None
            if mapped is not None:
                return mapped
            found = self._archive[name]
            if not isinstance(found, np.ndarray):
                raise ValueError(f"{name} in it is no array")
            return found
        except (*_DAMAGE, OSError) as error:  # an offset before the file's beginning
            raise _unreadable(self._path, error) from None

    def _mapped(self, name: str) -> Array | None:
        """Return an array where it lies in the file, None where it is no plain stretch of it."""
        archive: Any = self._archive.zip
        member = archive.NameToInfo.get(f"{name}.npy")
        lies = None if member is None else stretch_of(archive.fp, member)
        if lies is None:
            return None
        archive.fp.seek(lies[0])
        try:
            form = npy_form(archive.fp.read(FIRST_BYTES), *lies)
        except ValueError:
            return None
        if not math.prod(form.shape):
            return np.empty(form.shape, form.dtype)
        return np.memmap(self._path, form.dtype, "r", form.start, form.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._archive.files)

    def __len__(self) -> int:
        return len(self._archive.files)


_READERS: dict[str, Callable[[Path], Mapping[str, Array]]] = {
    ".npy": _npy,
    ".safetensors": _safetensors,
    **dict.fromkeys((PARQUET, *ARROW), _table),
}
_OBJECT_READERS: dict[str, Callable[[RemoteObject], Mapping[str, Any]]] = {
    ".npy": lambda source: {ONLY: npy_of(source)},
    ARCHIVE: archive_of,
    ".safetensors": tensors_of,
    PARQUET: read_table,
}
