"""Input specs: which file, which arrays of it, for which embedder.

FILE                                        arrays named by embedder, as `E1`, `E6.indptr`
EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS]  arrays of any name, for one embedder
"""

from dataclasses import dataclass
from pathlib import Path

from cgcython.base import ModelId
from cgcython.errors import InvalidInput, UsageError

IDS = "ids"
SUFFIXES = (".npy", ".npz", ".safetensors")
HELP = (
    "FILE (.npz, .safetensors) with arrays named E1, E6.indptr, E6.indices, E6.weights, "
    "E12.values, E12.offsets, E12.rows, ids; or EMBEDDER=FILE[:ARRAY[,ARRAY,ARRAY]][@ROWS], "
    "for example E1=docs.npy or E6=bm25.npz:indptr,indices,weights"
)


@dataclass(frozen=True)
class Spec:
    """One input: `target` is an embedder, "ids", or None for a file that names its arrays."""

    target: ModelId | str | None
    path: Path
    arrays: tuple[str, ...] = ()
    rows: str | None = None

    @classmethod
    def parse(cls, text):
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


def _target(name, text):
    if name == IDS:
        return IDS
    try:
        return ModelId.parse(name)
    except InvalidInput as error:
        raise UsageError(f"{text!r}: {error}") from None


def split_file(text):
    """Return path, arrays and rows of `FILE[:ARRAY,...][@ROWS]`.

    >>> split_file("tokens.npz:values,offsets")[1]
    ('values', 'offsets')
    """
    if Path(text).exists():
        return Path(text), (), None
    text, _, rows = text.partition("@")
    path, _, arrays = text.rpartition(":") if ":" in text else (text, "", "")
    return Path(path), tuple(filter(None, arrays.split(","))), rows or None


def _checked(path, text):
    if path.suffix not in SUFFIXES:
        raise UsageError(f"{text!r}: expected a file ending in {', '.join(SUFFIXES)}")
    return path
