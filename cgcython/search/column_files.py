"""Columns and graphs in files beside a store: derived from it, checked when read, safe to delete.

A file is one of safetensors whose metadata say what it is, where the store's journal stood, and
the CRC-32 of every array. It appears whole or not at all. A reader believes nothing that is
missing, damaged, of another version or of another store: it makes the data anew instead.
"""

import numpy as np

from cgcython.codecs.binary import BinaryCodec
from cgcython.search.code_scans import BinaryScan, Float8Scan, PQ8Scan
from cgcython.search.loading import KEY
from cgcython.search.sparse_scans import InvertedScan
from cgcython.search.token_scans import CodedTokenScan, TokenScan, TurnedTokenScan
from cgcython.tensors import read_arrays, write_arrays

FOLDER = "columns"
FORMAT, VERSION = "cgcython-column", 3
_CODES = {"float8": Float8Scan, "binary": BinaryScan, "pq8": PQ8Scan}
_LISTS = {
    "sparse": InvertedScan,
    "tokens_e4m3": CodedTokenScan,
    "tokens_turned": TurnedTokenScan,
    "tokens_f32": TokenScan,
}
_KINDS = _CODES | _LISTS


def column_path(folder, model_id):
    """Return the file of an embedder's column in the folder of a store.

    >>> from pathlib import Path
    >>> from cgcython import ModelId
    >>> column_path(Path("memories"), ModelId.HDC).as_posix()
    'memories/columns/E9.safetensors'
    """
    return folder / FOLDER / f"{model_id.short}.safetensors"


def graph_path(folder, model_id):
    """Return the file of an embedder's graph in the folder of a store."""
    return folder / FOLDER / f"{model_id.short}-graph.safetensors"


def is_of_codes(scan):
    """Return whether the rows of a scan are equally long codes: its file is small, and quick."""
    return isinstance(scan, tuple(_CODES.values()))


def save_parts(path, model_id, parts, position):
    """Write the (keys, scan) parts of a column; returns False for kinds that have no file."""
    if any(type(scan) not in _KINDS.values() for _, scan in parts):
        return False
    arrays, kinds = {}, []
    for number, (keys, scan) in enumerate(parts):
        columns = {"keys": keys.view(np.uint8).reshape(-1, KEY.itemsize), **scan.arrays()}
        arrays |= {f"{number}.{name}": one for name, one in columns.items()}
        kind, *shared = scan.key
        kinds.append([next(name for name, one in _KINDS.items() if one is kind), *shared])
    about = {"format": FORMAT, "version": VERSION, "embedder": model_id.short}
    write_arrays(path, arrays, {**about, "position": position, "parts": kinds})
    return True


def load_parts(path, model_id, find_codebook):
    """Return the (keys, scan) parts of a column and the position of the journal, or None."""
    found = read_arrays(path, FORMAT, VERSION)
    if found is None or found[1]["embedder"] != model_id.short:
        return None
    arrays, about = found
    parts = []
    for number, (name, *shared) in enumerate(about["parts"]):
        columns = {
            key.partition(".")[2]: one
            for key, one in arrays.items()
            if key.partition(".")[0] == str(number)
        }
        keys = columns.pop("keys").reshape(-1).view(KEY)
        kind = _KINDS[name]
        if name in _LISTS:
            scan = kind.from_arrays(columns, *shared)
        else:
            scan = _MAKERS[name](columns, find_codebook, *shared)
        scan.key = (kind, *shared)
        parts.append((keys, scan))
    return parts, about["position"]


_MAKERS = {
    "float8": lambda columns, _, dim: Float8Scan(**columns),
    "binary": lambda columns, _, dim, threshold: BinaryScan(
        **columns, codec=BinaryCodec(dim, threshold)
    ),
    "pq8": lambda columns, find, dim, codebook_id: PQ8Scan(**columns, codebook=find(codebook_id)),
}
