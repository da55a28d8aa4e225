"""Columns of codes in safetensors shards, for batch work: mapped without a copy, no database.

A folder holds `shard-00000.safetensors`, ... in the order of memories, `profile.toml`, and in
`pq8_codebooks/` the codebooks of its codes. A shard has `ids` [n, 16] u8 and, per embedder, the
columns of its QuantizedBatch as `E1.codes`; `E12.rows` where only some memories have it. Every
array and text has its CRC-32 in the metadata, because safetensors has none.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from safetensors import SafetensorError

from cgcython.base import ModelId, QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.errors import StorageCorruption, UnsupportedVersion
from cgcython.records import QuantizedBatch
from cgcython.tensors import read_tensors, write_tensors
from cgcython.types import Array, Int64Array, StrPath, UInt8Array

FORMAT, VERSION = "cgcython-shard", 1
PATTERN = "shard-*.safetensors"
PROFILE = "profile.toml"
ROWS = "rows"
_CHECKED = ("embedders", "facts")  # texts with a checksum


class ShardPart(NamedTuple):
    """One embedder's codes and the rows of the shard they belong to; None means all."""

    batch: QuantizedBatch
    rows: Int64Array | None = None


class Shard(NamedTuple):
    """Some consecutive memories: their ids, their codes, and what the writer says of them."""

    ids: UInt8Array
    parts: Mapping[ModelId, ShardPart]
    facts: Mapping[str, Any]


def shard_path(folder: StrPath, number: int) -> Path:
    """Return the file of a shard.

    >>> shard_path("out", 7).as_posix()
    'out/shard-00007.safetensors'
    """
    return Path(folder) / f"shard-{number:05}.safetensors"


def shard_paths(folder: StrPath) -> list[Path]:
    """Return the files of a folder's shards in the order of memories."""
    return sorted(Path(folder).glob(PATTERN))


def write_shard(path: StrPath, shard: Shard) -> None:
    """Write a shard, whole or not at all."""
    arrays: dict[str, Array] = {"ids": shard.ids}
    embedders = {}
    for model_id, (batch, rows) in shard.parts.items():
        columns = dict(batch.columns) | ({} if rows is None else {ROWS: rows})
        arrays |= {f"{model_id.short}.{name}": column for name, column in columns.items()}
        embedders[model_id.short] = {
            "method": batch.method.value,
            "dimension": batch.original_dim,
            "shared": dict(batch.shared),
        }
    about = {"format": FORMAT, "version": VERSION, "embedders": embedders, "facts": shard.facts}
    texts = {key: json.dumps(value) for key, value in about.items()}
    checksums = {name: _crc(array) for name, array in arrays.items()}
    checksums |= {key: crc32(texts[key].encode()) for key in _CHECKED}
    write_tensors(path, arrays, {**texts, "crc32": json.dumps(checksums)})


def read_facts(path: StrPath) -> dict[str, Any]:
    """Return what the writer of a shard said of it, without reading its arrays."""
    facts: dict[str, Any] = _opened(path)[1]["facts"]
    return facts


def read_shard(path: StrPath) -> Shard:
    """Return the shard of a file, its arrays mapped and checked against their checksums.

    Raises StorageCorruption naming the file; UnsupportedVersion for one of a later release.
    """
    arrays, about = _opened(path)
    for name, array in arrays.items():
        if about["crc32"].get(name) != _crc(array):
            raise _damaged(path, f"the checksum of {name} differs")
    ids = arrays.get("ids")
    if ids is None or ids.dtype != np.uint8 or ids.shape[1:] != (16,):
        raise _damaged(path, "it has no ids")
    try:
        parts = {
            ModelId.parse(name): _part(name, one, arrays, len(ids))
            for name, one in about["embedders"].items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from None
    return Shard(ids, parts, about["facts"])


def row_bytes(batch: QuantizedBatch) -> Int64Array:
    """Return the bytes of each row of a batch, in all of its columns."""
    sizes = np.zeros(len(batch), np.int64)
    for name, column in batch.columns.items():
        if name == "offsets":
            sizes += np.diff(column) + column.itemsize
        elif name != "data":
            sizes += column[:1].nbytes
    return sizes


def _opened(path: StrPath) -> tuple[dict[str, Array], dict[str, Any]]:
    try:
        arrays, metadata = read_tensors(path)
        about = {key: json.loads(text) for key, text in metadata.items()}
        if about.get("format") != FORMAT:
            raise ValueError(f"it is no shard: its format is {about.get('format')!r}")
        version, checksums = about["version"], about["crc32"]
        if any(checksums[key] != crc32(metadata[key].encode()) for key in _CHECKED):
            raise ValueError("the checksum of its metadata differs")
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(path, error) from None
    if version != VERSION:
        reason = f"it has version {version}, this release reads {VERSION}"
        raise UnsupportedVersion(where=str(path), reason=reason)
    return arrays, about


def _part(
    name: str, about: Mapping[str, Any], arrays: Mapping[str, Array], num_memories: int
) -> ShardPart:
    columns = {
        key.partition(".")[2]: array
        for key, array in arrays.items()
        if key.partition(".")[0] == name
    }
    rows = columns.pop(ROWS, None)
    method = QuantizationMethod(about["method"])
    if set(columns) != set(codec_class(method).columns):
        raise ValueError(f"{name} has the columns {', '.join(sorted(columns)) or 'none'}")
    batch = QuantizedBatch(method, about["dimension"], columns, about["shared"])
    _require_lengths(name, batch, rows, num_memories)
    return ShardPart(batch, rows)


def _require_lengths(
    name: str, batch: QuantizedBatch, rows: Array | None, num_memories: int
) -> None:
    columns = batch.columns
    offsets = columns.get("offsets")
    if offsets is not None:
        ends = offsets[0] == 0 and offsets[-1] == len(columns["data"])
        if not ends or np.any(np.diff(offsets) < 0):
            raise ValueError(f"{name}.offsets are not those of its data")
    lengths = {len(one) for key, one in columns.items() if key not in ("data", "offsets")}
    if lengths - {len(batch)} or len(batch) != (num_memories if rows is None else len(rows)):
        raise ValueError(f"the columns of {name} differ in length")
    ascend = rows is None or (np.all(np.diff(rows) > 0) and np.all(rows >= 0))
    if not ascend or (rows is not None and len(rows) and rows[-1] >= num_memories):
        raise ValueError(f"{name}.rows are not rows of the shard")


def _crc(array: Array) -> int:
    return crc32(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")


def _damaged(path: StrPath, reason: object) -> StorageCorruption:
    return StorageCorruption(where=str(path), reason=reason)
