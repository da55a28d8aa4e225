"""Columns of codes in safetensors shards, for batch work: mapped without a copy, no database.

A folder holds `shard-00000.safetensors`, ... in the order of memories, `profile.toml`, and in
`pq8_codebooks/` the codebooks of its codes. A shard has its ids (`ids` [n, 16] u8 where all are
UUIDs, otherwise `ids.data` and `ids.offsets`) and, per embedder, the columns of its QuantizedBatch
as `E1.codes`; `E12.rows` where only some memories have it. Every array and text has its CRC-32 in
the metadata, because safetensors has none; from version 3 on `blocks` has that of every 64 KB, so
that some rows are checked without reading all.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cgcython import strict_json
from cgcython.base import EmbedderId, Profile
from cgcython.checksums import of_array as _crc  # noqa: F401  # who changes a shard seals it anew
from cgcython.errors import InvalidInput
from cgcython.files import as_path
from cgcython.records import QuantizedBatch
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shard_file import CHECKED, ROWS, ShardFile
from cgcython.store.shard_file import KIND as KIND
from cgcython.store.shard_file import ShardPart as ShardPart
from cgcython.tensors import BLOCKS, Malformed, block_checksums, told_as_damage
from cgcython.types import Array, Int64Array, StrPath

PATTERN = "shard-*.safetensors"
_NUMBERED = re.compile(r"shard-(\d{5}|[1-9]\d{5,17})\.safetensors", re.ASCII)
PROFILE = "profile.toml"
MOST = 2**63 - 1


class Shard(NamedTuple):
    """Some consecutive memories: their ids, their codes, and what the writer says of them."""

    ids: KeyColumn
    parts: Mapping[EmbedderId, ShardPart]
    facts: Mapping[str, Any]


def shard_path(folder: StrPath, number: int) -> Path:
    """Return the file of a shard.

    >>> shard_path("out", 7).as_posix()
    'out/shard-00007.safetensors'
    """
    return Path(folder) / f"shard-{number:05}.safetensors"


def read_profile(folder: StrPath) -> Profile:
    """Return the profile of a folder's shards; raises InvalidInput where it has none that reads."""
    path = Path(folder) / PROFILE
    try:
        return Profile.kept(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        expected = "the profile of these shards"
        raise InvalidInput(what=str(path), expected=expected, actual=error) from None


def shard_paths(folder: StrPath) -> list[Path]:
    """Return the files of a folder's shards in the order of memories."""
    return [shard_path(folder, number) for number in shard_numbers(folder)]


def shard_numbers(folder: StrPath) -> list[int]:
    """Return the numbers of the shards that a folder has, ascending."""
    found = (_NUMBERED.fullmatch(path.name) for path in Path(folder).glob(PATTERN))
    return sorted(int(one[1]) for one in found if one)


def write_shard(path: StrPath, shard: Shard) -> None:
    """Write a shard, whole or not at all."""
    arrays: dict[str, Array] = dict(shard.ids.arrays(not shard.ids.are_uuids))
    embedders = {}
    for model_id, (batch, rows) in shard.parts.items():
        columns = dict(batch.columns) | ({} if rows is None else {ROWS: rows})
        arrays |= {f"{model_id.short}.{name}": column for name, column in columns.items()}
        embedders[model_id.short] = {
            "method": batch.method.value,
            "dimension": batch.original_dim,
            "shared": dict(batch.shared),
        }
    texts = {"embedders": embedders, "facts": dict(shard.facts)}
    spelled = {key: strict_json.to_text(one) for key, one in texts.items()}
    KIND.write(path, {**arrays, BLOCKS: block_checksums(arrays)}, spelled, CHECKED)


def read_facts(path: StrPath) -> dict[str, Any]:
    """Return what the writer of a shard said of it, without reading its arrays.

    Errors as in `read_shard`.
    """
    path = as_path(path)
    with told_as_damage(path):
        return strict_json.parse_object(KIND.read(path, verified=()).texts["facts"])


def count_memories(path: StrPath) -> int:
    """Return the number of memories of all shards beside a shard, as its writer counted them.

    Errors as in `read_shard`.
    """
    found = read_facts(path).get("memories")
    with told_as_damage(path):
        if type(found) is not int or not 0 <= found <= MOST:
            raise Malformed(f"its facts count {found!r:.40} memories")
    return found


def read_shard(path: StrPath) -> Shard:
    """Return the shard of a file, its arrays mapped and checked against their checksums.

    Raises StorageCorruption naming the file, UnsupportedVersion for one of a later release,
    FileUnavailable for one that cannot be opened.
    """
    file = ShardFile(path)
    parts = {one: file.part(one) for one in file.embedders}
    return Shard(file.ids, {one: part for one, part in parts.items() if part}, file.facts)


def row_bytes(batch: QuantizedBatch) -> Int64Array:
    """Return the bytes of each row of a batch, in all of its columns."""
    sizes = np.zeros(len(batch), np.int64)
    for name, column in batch.columns.items():
        if name == "offsets":
            sizes += np.diff(column) + column.itemsize
        elif name != "data":
            sizes += column[:1].nbytes
    return sizes
