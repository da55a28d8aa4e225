"""Shards of an open file: mapped, and compared with their checksums as far as they are read."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cgcython import strict_json
from cgcython.base import EmbedderId, parse_embedder
from cgcython.files import as_path
from cgcython.records import QuantizedBatch, stored_batch
from cgcython.store.key_columns import NAMES, KeyColumn
from cgcython.tensors import (
    BLOCKS,
    ArrayForm,
    Blocks,
    FileKind,
    Malformed,
    mapped_among,
    require_arrays,
    require_whole,
    told_as_damage,
)
from cgcython.types import Array, Int64Array, StrPath

FREE = "2"  # the version from which on ids and embedders are free
CHECKED = "3"  # that in which blocks of arrays have checksums: the one that is written
# All texts are JSON.
KIND = FileKind('"cgcython-shard"', "1", ("embedders", "facts"), (FREE, CHECKED))
ROWS = "rows"


class ShardPart(NamedTuple):
    """One embedder's codes and the rows of the shard they belong to; None means all."""

    batch: QuantizedBatch
    rows: Int64Array | None = None


class ShardFile:
    """A shard in a file that is mapped: some consecutive memories.

    When it is opened, the header, the texts and the ids are compared with their checksums, and the
    arrays of all embedders with what their methods declare: their sizes, their offsets, their rows.
    Their bytes are compared when they are first asked for, those of one embedder alone. It may be
    used by threads at the same time.
    """

    def __init__(self, path: StrPath) -> None:
        """Raises StorageCorruption, UnsupportedVersion or FileUnavailable, each naming the file."""
        self.path: Path = as_path(path)
        with told_as_damage(self.path):
            self._file = KIND.open(self.path)
            arrays = dict(self._file.arrays)
            self._file.require(name for name in (*NAMES, BLOCKS) if name in arrays)
            self._blocks = _blocks(arrays, self._file.version)
            found = (strict_json.parse_object(self._file.texts[key]) for key in KIND.texts)
            embedders, self.facts = found
            self.ids = KeyColumn.taken(arrays)
            self._parts = {
                _embedder(name): _part(arrays, name, about, len(self.ids))
                for name, about in embedders.items()
            }
            if arrays:
                raise Malformed(f"it has arrays of no embedder: {', '.join(sorted(arrays)):.60}")

    @property
    def embedders(self) -> list[EmbedderId]:
        """The embedders that some of its memories have."""
        return list(self._parts)

    @property
    def memories(self) -> int:
        """The number of its memories."""
        return len(self.ids)

    def count(self, model_id: EmbedderId) -> int:
        """Return how many of its memories have an embedder."""
        part = self._parts.get(model_id)
        return 0 if part is None else len(part.batch)

    def part(self, model_id: EmbedderId) -> ShardPart | None:
        """Return the part of an embedder, all of it compared; None where no memory has it.

        Raises StorageCorruption naming the file.
        """
        self._require_whole()
        part = self._parts.get(model_id)
        if part is not None:
            columns = [*part.batch.columns, *([] if part.rows is None else [ROWS])]
            with told_as_damage(self.path):
                self._file.require(f"{model_id.short}.{name}" for name in columns)
        return part

    def some(self, model_id: EmbedderId, memories: Int64Array) -> ShardPart | None:
        """Return the part of some memories alone, which ascend, copied; None where none has it.

        Blocks of 64 KB that hold their bytes are compared, in a file that has checksums of blocks:
        in others, all is. Raises StorageCorruption naming the file.
        """
        self._require_whole()
        part = self._parts.get(model_id)
        if part is None or self._blocks is None:
            part = self.part(model_id)
        if part is None:
            return None
        with told_as_damage(self.path):
            known, rows = self._rows(model_id, part, memories)
            self._require_rows(model_id, part.batch, rows)
        return ShardPart(part.batch[rows], known) if len(rows) else None

    def _require_whole(self) -> None:
        """Raise StorageCorruption if the file was cut short: reading it would end the process."""
        for one in mapped_among(self._file.arrays.values()):
            require_whole(one)

    def _rows(
        self, model_id: EmbedderId, part: ShardPart, memories: Int64Array
    ) -> tuple[Int64Array, Int64Array]:
        """Return those of some memories that have an embedder, and their rows of its batch."""
        if part.rows is None:
            return memories, memories
        self._file.require([f"{model_id.short}.{ROWS}"])
        if not len(part.rows):
            return memories[:0], memories[:0]
        rows = np.minimum(part.rows.searchsorted(memories), len(part.rows) - 1)
        has_one = part.rows[rows] == memories
        return memories[has_one], rows[has_one]

    def _require_rows(self, model_id: EmbedderId, batch: QuantizedBatch, rows: Int64Array) -> None:
        """Raise Malformed unless the bytes of some rows are those that were written."""
        if self._blocks is None or not len(rows):
            return
        columns = dict(batch.columns)
        data = columns.pop("data") if "offsets" in columns else None
        for name, column in columns.items():
            size = column.nbytes // len(column)
            ends = rows + 1 + (name == "offsets")
            self._blocks.require(f"{model_id.short}.{name}", rows * size, ends * size)
        if data is not None:
            offsets = columns["offsets"]
            self._blocks.require(f"{model_id.short}.data", offsets[rows], offsets[rows + 1])


def _blocks(arrays: dict[str, Array], version: str) -> Blocks | None:
    """Take the checksums of blocks out of the arrays of a shard of a version that has them."""
    if version != CHECKED:
        return None
    if BLOCKS not in arrays:
        raise Malformed(f"it has no array {BLOCKS}")
    checksums = arrays.pop(BLOCKS)
    return Blocks(dict(arrays), checksums)


def _embedder(name: str) -> EmbedderId:
    found = parse_embedder(name)
    if found.short != name:
        raise Malformed(f"it names an embedder {name!r:.40}")
    return found


def _part(arrays: dict[str, Array], name: str, about: Any, memories: int) -> ShardPart:
    """Take the columns of an embedder out of the arrays of a shard."""
    names = [key for key in arrays if key.rpartition(".")[0] == name]
    columns = {key.rpartition(".")[2]: arrays.pop(key) for key in names}
    rows: Int64Array | None = None
    if ROWS in columns:
        rows = _checked_rows(columns.pop(ROWS), memories)
    try:
        batch = stored_batch(about, columns, memories if rows is None else len(rows))
    except Malformed as error:
        raise Malformed(f"{name}: {error}") from None
    return ShardPart(batch, rows)


def _checked_rows(rows: Array, memories: int) -> Int64Array:
    found = require_arrays({ROWS: rows}, {ROWS: ArrayForm("I64", ("some",))})[ROWS]
    if np.any(found[1:] <= found[:-1]) or np.any((found < 0) | (found >= memories)):
        raise Malformed("rows of an embedder are not rows of the shard")
    return found
