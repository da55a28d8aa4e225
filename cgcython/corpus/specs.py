"""Input specs: which file, which arrays of it, for which embedder.

FILE                                        arrays named by embedder, as `E1`, `E6.indptr`
EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS]  arrays of any name, for one embedder

FILE may be a URL, as `s3://bucket/docs.npy`.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from cgcython.base import EmbedderId, parse_embedder
from cgcython.corpus.remote.urls import InputPlace, input_place, is_url, without_secrets
from cgcython.errors import InvalidInput, UsageError
from cgcython.files import absolute_path

IDS, METADATA = "ids", "metadata"
PARTS = ("indptr", "indices", "weights", "values", "offsets", "rows")  # of arrays
ARRAYS, TABLES = (".npy", ".npz", ".safetensors"), (".parquet", ".arrow", ".feather", ".ipc")
SUFFIXES = ARRAYS + TABLES
HELP = (
    "FILE (.npz, .safetensors) with arrays named E1, E6.indptr, E6.indices, E6.weights, "
    "E12.values, E12.offsets, E12.rows, ids; a table (.parquet, .arrow, .feather, .ipc) with a "
    "column per embedder; or EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS], "
    "for example E1=docs.npy or E6=bm25.npz:indptr,indices,weights; FILE may be a URL such as "
    "s3://bucket/docs.npy (the extra remote)"
)
_SUFFIX = f"(?:{'|'.join(map(re.escape, SUFFIXES))})"
_END_OF_PATH = re.compile(rf"{_SUFFIX}(?=[:@]|$)")
_END_OF_URL = re.compile(rf"{_SUFFIX}(?:\?[^:@]*)?(?=:(?!:)|@|$)")  # signatures escape : and @
_NAMES = re.compile(r"(?::(?P<arrays>[^@]*))?(?:@(?P<rows>.*))?")


@dataclass(frozen=True)
class Spec:
    """One input: `target` is an embedder, "ids", or None for a file that names its arrays."""

    target: EmbedderId | str | None
    path: InputPlace
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
        if not equals or is_url(text) or os.path.exists(text):
            return cls(None, _checked(input_place(text), text))
        path, arrays, rows = split_file(rest) if rest else FileSpec(Path(), (), None)
        return cls(_target(name, text), _checked(path, text), arrays, rows)


def spec_of(embedder: str, text: str) -> str:
    """Return an input with an embedder before it, unless it names one.

    >>> spec_of("E1", "docs.npy"), spec_of("E1", "E2=docs.npy"), spec_of("E1", "s3://b/x.npy?a=5")
    ('E1=docs.npy', 'E2=docs.npy', 'E1=s3://b/x.npy?a=5')
    """
    return text if "=" in text and not is_url(text) else f"{embedder}={text}"


class FileSpec(NamedTuple):
    """A file or URL, the arrays of it that are meant, and the one that has the rows."""

    path: InputPlace
    arrays: tuple[str, ...]
    rows: str | None


def split_file(text: str) -> FileSpec:
    """Return the parts of `FILE[:ARRAY,...][@ROWS]`, where FILE may be a URL.

    A path may hold `:` and `@` too: it ends with a suffix of SUFFIXES, where there are several
    with the one that makes it a file.

    >>> split_file("me@host/tokens.npz:values,offsets")[1:]
    (('values', 'offsets'), None)
    """
    found = _END_OF_URL if is_url(text) else _END_OF_PATH
    ends = [match.end() for match in found.finditer(text)] or [len(text)]
    end = next((end for end in reversed(ends) if os.path.isfile(text[:end])), ends[0])
    names = _NAMES.fullmatch(text, end)
    if names is None:
        return FileSpec(input_place(text), (), None)
    arrays = (names["arrays"] or "").split(",")
    return FileSpec(input_place(text[:end]), tuple(filter(None, arrays)), names["rows"] or None)


def absolute(text: str) -> str:
    """Return an input that means the same in any working directory; raises FileUnavailable.

    >>> absolute("E1=/data/docs.npy"), absolute("E1=memory://docs.npy")
    ('E1=/data/docs.npy', 'E1=memory://docs.npy')
    """
    name, equals, rest = text.partition("=")
    if not equals or is_url(text) or os.path.exists(text):
        name, equals, rest = "", "", text
    return text if is_url(rest) else f"{name}{equals}{absolute_path(rest)}"


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
        raise UsageError(f"{without_secrets(text)!r}: {error}") from None


def _checked(path: InputPlace, text: str) -> InputPlace:
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"{without_secrets(text)!r}: expected a file ending in {', '.join(SUFFIXES)}"
        )
    return path
