"""Columns and graphs in files beside a store: derived from it, checked when read, safe to delete.

A file is one of safetensors whose metadata say what it is, where the store's journal stood, and
the CRC-32 of every array. It appears whole or not at all. A file that is missing, damaged, of
another version or of another store is ignored, and the data are made anew.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.base import EmbedderId, OwnEmbedder
from cgcython.search.guides.choice import guide_named
from cgcython.search.guides.guide import Guide
from cgcython.search.keys import END, as_rows, from_rows
from cgcython.search.loading import Part
from cgcython.search.scan import DIM, ROWS, FindCodebook, Scan
from cgcython.search.scans import scan_named
from cgcython.store.ids import UUID_BYTES
from cgcython.tensors import (
    MALFORMED,
    ArrayForm,
    Malformed,
    read_arrays,
    require_arrays,
    write_arrays,
)
from cgcython.types import Array, KeyArray

FOLDER, METADATA = "columns", "metadata.sqlite"
FORMAT, VERSION = "cgcython-column", 3
KEYS, WIDTH = "keys", "bytes of a key"
GUIDE = "guide."  # before the names of a guide's arrays


def column_path(folder: Path, model_id: EmbedderId) -> Path:
    """Return the file of an embedder's column in the folder of a store.

    >>> from pathlib import Path
    >>> from cgcython import ModelId
    >>> column_path(Path("memories"), ModelId.HDC).as_posix()
    'memories/columns/E9.safetensors'
    """
    return folder / FOLDER / f"{model_id.short}.safetensors"


def graph_path(folder: Path, model_id: EmbedderId) -> Path:
    """Return the file of an embedder's graph in the folder of a store."""
    # A user may have named an embedder "minilm-graph", but none "minilm+graph".
    joint = "+" if isinstance(model_id, OwnEmbedder) else "-"
    return folder / FOLDER / f"{model_id.short}{joint}graph.safetensors"


def save_parts(path: Path, model_id: EmbedderId, parts: Sequence[Part], position: int) -> bool:
    """Write the parts of a column; returns False where a scan has no name in files."""
    if any(part.scan.name is None for part in parts):
        return False
    arrays: dict[str, Array] = {}
    for number, part in enumerate(parts):
        columns = {KEYS: _rows_of(part.keys), **part.scan.arrays(), **_guide_arrays(part.guide)}
        arrays |= {f"{number}.{name}": one for name, one in columns.items()}
    about = {
        "format": FORMAT,
        "version": VERSION,
        "embedder": model_id.short,
        "position": position,
        "parts": [[part.scan.name, *part.scan.shared] for part in parts],
    }
    if any(part.guide is not None for part in parts):
        about["guides"] = [None if part.guide is None else part.guide.name for part in parts]
    write_arrays(path, arrays, about)
    return True


def load_parts(
    path: Path, model_id: EmbedderId, find_codebook: FindCodebook
) -> tuple[list[Part], int] | None:
    """Return the parts of a column and where the journal stood, None if the file is ignored.

    Raises CodebookMissing where the codebook of its codes is not at hand.
    """
    found = read_arrays(path, FORMAT, VERSION)
    if found is None:
        return None
    arrays, about = found
    try:
        if about["embedder"] != model_id.short:
            return None
        numbered = _by_part(arrays)
        if numbered.keys() != {str(number) for number in range(len(about["parts"]))}:
            raise Malformed(f"it has arrays of the parts {', '.join(numbered):.60}")
        guides = about.get("guides", [None] * len(about["parts"]))
        parts = [
            _part(name, tuple(shared), numbered[str(number)], guide, find_codebook)
            for number, ((name, *shared), guide) in enumerate(
                zip(about["parts"], guides, strict=True)
            )
        ]
        return parts, _position(about["position"])
    except MALFORMED:
        return None


def _position(found: object) -> int:
    """Return a position of the journal; raises Malformed for what cannot be one."""
    if type(found) is not int or not 0 <= found < 2**64:
        raise Malformed(f"its position is {found!r:.40}")
    return found


def _by_part(arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return the arrays of each part, by its number and their own names."""
    parts: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        number, _, own_name = name.partition(".")
        parts.setdefault(number, {})[own_name] = array
    return parts


def _part(
    name: str,
    shared: tuple[Any, ...],
    arrays: dict[str, Array],
    guide: object,
    find_codebook: FindCodebook,
) -> Part:
    """Return a part of a column; raises Malformed where it is not what its scan declares."""
    of_guide = {
        one.removeprefix(GUIDE): arrays.pop(one) for one in [*arrays] if one.startswith(GUIDE)
    }
    kind = scan_named(name)
    if kind is None:
        raise Malformed(f"no scan is named {name:.60}")
    if type(shared[0]) is not int or shared[0] < 1:
        raise Malformed(f"its dimension is {shared[0]!r:.40}")
    forms = {KEYS: ArrayForm("U8", (ROWS, WIDTH)), **kind.kept}
    arrays = require_arrays(arrays, forms, {DIM: shared[0]})
    keys = _keys_of(arrays.pop(KEYS))
    scan = kind.from_arrays(arrays, shared, find_codebook)
    return Part(keys, scan, _guide(guide, of_guide, scan))


def _guide_arrays(guide: Guide | None) -> dict[str, Array]:
    """Return the arrays of a guide by their names in a column file."""
    arrays = {} if guide is None else guide.arrays()
    return {GUIDE + name: one for name, one in arrays.items()}


def _guide(name: object, arrays: dict[str, Array], scan: Scan) -> Guide | None:
    """Return the guide of a name that is in a file; None, so that it is made anew, for others."""
    kind = guide_named(name)
    if kind is None or not kind.suits(scan):
        return None
    try:
        known = {ROWS: len(scan), DIM: scan.shared[0]}
        return kind.from_arrays(require_arrays(arrays, kind.kept, known), scan)
    except Malformed:
        return None


def _rows_of(keys: KeyArray) -> Array:
    """Return keys as a column file has them: 16 bytes each where all are of UUIDs, as ever.

    Others stand as in arrays, never 16 bytes wide.
    """
    rows = as_rows(keys)
    if rows.shape[1] == UUID_BYTES + 1 and np.all(rows[:, -1] == END[0]):
        return rows[:, :-1]
    return np.pad(rows, [(0, 0), (0, 1)]) if rows.shape[1] == UUID_BYTES else rows


def _keys_of(rows: Array) -> KeyArray:
    """Return the keys of a column file; raises Malformed for what are none."""
    if rows.shape[1] == UUID_BYTES:
        rows = np.pad(rows, [(0, 0), (0, 1)], constant_values=END[0])
    return from_rows(rows)
