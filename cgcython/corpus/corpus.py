"""A corpus: the embeddings of several embedders over one numbering of memories."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import numpy as np

from cgcython.base import EmbedderId, EmbedderName, Profile, parse_embedder
from cgcython.checks import require_instance, require_mapping, require_whole
from cgcython.checksums import crc32, of_array
from cgcython.corpus.memory_ids import GivenIds, MemoryIds
from cgcython.corpus.memory_metadata import MemoryMetadata
from cgcython.corpus.remote.objects import RemoteObject
from cgcython.corpus.remote.rows import LazyRows
from cgcython.errors import InvalidInput
from cgcython.inputs.columns import Column, Embedding
from cgcython.tensors import give_back
from cgcython.types import Array, Int64Array

Origin: TypeAlias = Path | RemoteObject | Mapping[str, Array]  # a file, an object, or arrays
Stamp: TypeAlias = list[str | int]


@dataclass(frozen=True, eq=False)
class CorpusColumn:
    """The embeddings of one embedder, and the memory of each.

    `rows` has the number of each one's memory, ascending; None means that every memory has one.
    """

    embeddings: Column
    rows: Int64Array | LazyRows | None = None

    @property
    def num_memories(self) -> int:
        """One more than the number of the last memory that has an embedding."""
        if self.rows is None:
            return len(self.embeddings)
        return int(self.rows[-1]) + 1 if len(self.rows) else 0

    def fits(self, num_memories: int) -> bool:
        """Return whether each of so many memories has an embedding, or `rows` says which have."""
        return self.rows is not None or len(self.embeddings) == num_memories

    def arrays(self) -> list[object]:
        """Return the arrays that are held."""
        column = self.embeddings
        return [self.rows, *(getattr(column, part) for part in column.parts)]

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range of embeddings that belong to memories start to stop."""
        if self.rows is None:
            return min(start, len(self.embeddings)), min(stop, len(self.embeddings))
        if isinstance(self.rows, LazyRows):
            return self.rows.position(start), self.rows.position(stop)
        first, last = np.searchsorted(self.rows, (start, stop)).tolist()
        return first, last

    def memories(self, start: int, stop: int) -> Int64Array:
        """Return the numbers of the memories that embeddings start to stop belong to."""
        return np.arange(start, stop) if self.rows is None else self.rows[start:stop]

    def piece(self, start: int, stop: int) -> "CorpusColumn":
        """Return the column of memories start to stop alone, read once, counted from `start`."""
        first, last = self.within(start, stop)
        rows = None if self.rows is None else self.memories(first, last) - start
        return CorpusColumn(self.embeddings.piece(first, last), rows)

    def checksum(self, start: int, stop: int) -> int:
        """Return the CRC-32 of what memories start to stop have: numbers and embeddings.

        Equal content has an equal checksum, in whatever file or object it lies; the numbers of
        the memories are counted from `start`.
        """
        first, last = self.within(start, stop)
        crc = self.embeddings.checksum(first, last)
        if self.rows is None:
            return crc
        return crc32((self.memories(first, last) - start).data, crc)


class Corpus(Mapping[EmbedderId, CorpusColumn]):
    """`ModelId -> CorpusColumn` over memories 0 to `num_memories`, as `open_corpus` makes one.

    It holds files open and mapped until it is closed or, as a context manager, left. `profile` is
    the table that its dimensions were checked against, `origins` where its arrays are, `metadata`
    an object for each memory.
    """

    def __init__(
        self,
        columns: Mapping[EmbedderId, CorpusColumn],
        ids: GivenIds | None = None,
        profile: Profile | None = None,
        origins: Sequence[Origin] = (),
        metadata: MemoryMetadata | None = None,
        checked: bool = False,
    ) -> None:
        named = require_mapping(columns, "columns").items()
        self.profile, self.origins = Profile.named(profile), origins
        found = {
            self.profile.embedder(name): require_instance(column, CorpusColumn, "column")
            for name, column in named
        }
        self._columns = dict(sorted(found.items()))
        self.metadata = MemoryMetadata() if metadata is None else metadata
        counts = [one.num_memories for one in self.values()]
        num_memories = max([len(self.metadata), *counts])
        self.ids = MemoryIds(num_memories, ids, unique=checked)
        self._require_whole_columns()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unmap the files and let go of all arrays; the corpus has no memories any more.

        What somebody still holds of an array stays as it is, but its pages leave the memory until
        they are read again.
        """
        arrays = [array for one in self.values() for array in one.arrays()]
        give_back(getattr(one, "bits", one) for one in arrays)
        self._columns, self.ids, self.metadata = {}, MemoryIds(0), MemoryMetadata()

    def __getitem__(self, embedder: EmbedderName) -> CorpusColumn:
        return self._columns[parse_embedder(embedder)]

    def __iter__(self) -> Iterator[EmbedderId]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __contains__(self, embedder: object) -> bool:
        try:
            return isinstance(embedder, (str, int)) and parse_embedder(embedder) in self._columns
        except InvalidInput:
            return False

    def __repr__(self) -> str:
        embedders = ", ".join(one.short for one in self)
        return f"Corpus(memories={self.num_memories}, embedders=[{embedders}])"

    def _require_whole_columns(self) -> None:
        for model_id, column in self.items():
            if not column.fits(self.num_memories):
                raise InvalidInput(
                    what=f"{model_id.short}",
                    expected=f"{self.num_memories} rows, or {model_id.short}.rows (@ROWS)",
                    actual=f"{len(column.embeddings)} rows",
                )

    @property
    def num_memories(self) -> int:
        """How many memories have at least one embedder or an id."""
        return len(self.ids)

    def ranges(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield consecutive ranges (start, stop) of `size` memories; the last may be shorter."""
        size = require_whole(size, "size", least=1)
        for start in range(0, self.num_memories, size):
            yield start, min(start + size, self.num_memories)

    def fingerprints(self, start: int, stop: int) -> list[dict[EmbedderId, Embedding]]:
        """Return one `{ModelId: embedding}` for each of memories start to stop."""
        start = require_whole(start, "start", 0, self.num_memories)
        stop = require_whole(stop, "stop", start, self.num_memories)
        found: list[dict[EmbedderId, Embedding]] = [{} for _ in range(start, stop)]
        for model_id, column in self.items():
            piece = column.piece(start, stop)
            count = len(piece.embeddings)
            rows = piece.memories(0, count).tolist()
            for row, one in zip(rows, piece.embeddings.some(0, count)):
                found[row][model_id] = one
        return found

    def stamps(self) -> list[Stamp]:
        """Return a stamp of each input: name, size and time or ETag, or the CRC-32 of arrays."""
        return [_stamp(one) for one in self.origins]


def _stamp(origin: Origin) -> Stamp:
    if isinstance(origin, Path):
        about = origin.stat()
        return [origin.name, about.st_size, about.st_mtime_ns]
    if isinstance(origin, RemoteObject):
        return origin.stamp()
    return [
        f"{name} {array.dtype} {list(array.shape)} {of_array(array):#010x}"
        for name, array in origin.items()
    ]
