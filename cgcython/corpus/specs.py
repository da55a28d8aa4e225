"""Input specs: which file, which arrays of it, for which embedder.

FILE                                        arrays named by embedder, as `E1`, `E6.indptr`
EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS]  arrays of any name, for one embedder
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cgcython.base import EmbedderId, parse_embedder
from cgcython.errors import InvalidInput, UsageError

IDS, METADATA = "ids", "metadata"
PARTS = ("indptr", "indices", "weights", "values", "offsets", "rows")  # of arrays
ARRAYS, TABLES = (".npy", ".npz", ".safetensors"), (".parquet", ".arrow", ".feather", ".ipc")
SUFFIXES = ARRAYS + TABLES
HELP = (
    "FILE (.npz, .safetensors) with arrays named E1, E6.indptr, E6.indices, E6.weights, "
    "E12.values, E12.offsets, E12.rows, ids; a table (.parquet, .arrow, .feather, .ipc) with a "
    "column per embedder; or EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS], "
    "for example E1=docs.npy or E6=bm25.npz:indptr,indices,weights"
)
_END_OF_PATH = re.compile(rf"({'|'.join(map(re.escape, SUFFIXES))})(?=[:@]|$)")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_NAMES = re.compile(r"(?::(?P<arrays>[^@]*))?(?:@(?P<rows>.*))?")


@dataclass(frozen=True)
class Spec:
    """One input: `target` is an embedder, "ids", or None for a file that names its arrays."""

    target: EmbedderId | str | None
    path: Path
    arrays: tuple[str, ...] = ()
    rows: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Spec":
        """Return the spec that `text` spells.

        >>> spec = Spec.parse("E12=tokens.npz:values,offsets@index")
        >>> spec.target.name, spec.path.name, spec.arrays, spec.rows
        ('LATE_INTERACTION', 'tokens.npz', ('values', 'offsets'), 'index')
        """
        name, equals, rest = text.partition("=")
        if not equals or Path(text).exists():
            return cls(None, _checked(Path(text), text))
        path, arrays, rows = split_file(rest)
        return cls(_target(name, text), _checked(path, text), arrays, rows)


class FileSpec(NamedTuple):
    """A file, the arrays of it that are meant, and the one that has the rows."""

    path: Path
    arrays: tuple[str, ...]
    rows: str | None


def split_file(text: str) -> FileSpec:
    """Return the parts of `FILE[:ARRAY,...][@ROWS]`.

    A path may hold `:` and `@` too: it ends with a suffix of SUFFIXES, where there are several
    with the one that makes it a file.

    >>> split_file("me@host/tokens.npz:values,offsets")[1:]
    (('values', 'offsets'), None)
    """
    ends = [match.end() for match in _END_OF_PATH.finditer(text)] or [len(text)]
    end = next((end for end in reversed(ends) if Path(text[:end]).is_file()), ends[0])
    names = _NAMES.fullmatch(text, end)
    if names is None:
        return FileSpec(Path(text), (), None)
    arrays = (names["arrays"] or "").split(",")
    return FileSpec(Path(text[:end]), tuple(filter(None, arrays)), names["rows"] or None)


def absolute(text: str) -> str:
    """Return an input that means the same in any working directory.

    >>> absolute("E1=/data/docs.npy"), absolute("E1=memory://docs.npy")
    ('E1=/data/docs.npy', 'E1=memory://docs.npy')
    """
    name, equals, rest = text.partition("=")
    if not equals or Path(text).exists():
        name, equals, rest = "", "", text
    return text if _URL.match(rest) else f"{name}{equals}{os.path.join(os.getcwd(), rest)}"


def split_name(name: str) -> tuple[str, str]:
    """Return (embedder, part) of the name of an array; names of embedders may have dots too.

    >>> split_name("E6.indptr"), split_name("bge-v1.5"), split_name("bge-v1.5.rows")
    (('E6', 'indptr'), ('bge-v1.5', ''), ('bge-v1.5', 'rows'))
    """
    embedder, _, part = name.rpartition(".")
    return (embedder, part) if part in PARTS and embedder else (name, "")


def _target(name: str, text: str) -> EmbedderId | str:
    if name == IDS:
        return IDS
    try:
        return parse_embedder(name)
    except InvalidInput as error:
        raise UsageError(f"{text!r}: {error}") from None


def _checked(path: Path, text: str) -> Path:
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{text!r}: expected a file ending in {', '.join(SUFFIXES)}")
    return path
