"""The embeddings of one embedder in a column of a table: rows are decoded when they are needed."""

from __future__ import annotations

from functools import cached_property

from cgcython.base import Embedder
from cgcython.corpus.corpus import CorpusColumn
from cgcython.corpus.table_files import TableColumn
from cgcython.inputs.columns import Column
from cgcython.inputs.taking import Taken
from cgcython.types import Int64Array

FIRST_ROWS = 64  # that are looked at before work begins, where that costs no more than a map


class TableRows(CorpusColumn):
    """A column of a table as the embeddings of memories; a null is a memory without one.

    `piece` reads the row groups of its memories; `embeddings` and `rows` read all.
    """

    def __init__(self, column: TableColumn, embedder: Embedder) -> None:
        column.check(embedder)
        if not column.file.is_remote:
            column.take(embedder, 0, FIRST_ROWS)
        vars(self).update(_column=column, _embedder=embedder)

    @cached_property
    def _whole(self) -> Taken:
        column: TableColumn = vars(self)["_column"]
        return column.take(vars(self)["_embedder"], 0, len(column))

    @property
    def embeddings(self) -> Column:
        """All embeddings."""
        return self._whole.column

    @property
    def rows(self) -> Int64Array | None:
        """The memory of each embedding, None where every one has one."""
        return self._whole.rows

    @property
    def num_memories(self) -> int:
        """The number of rows of the table."""
        return len(vars(self)["_column"])

    def fits(self, num_memories: int) -> bool:
        """Return whether each of so many memories has an embedding, or `rows` says which have."""
        return self.num_memories == num_memories or super().fits(num_memories)

    def arrays(self) -> list[object]:
        """Return the arrays that are held."""
        return super().arrays() if "_whole" in vars(self) else []

    def piece(self, start: int, stop: int) -> CorpusColumn:
        """Return the column of memories start to stop alone, read once, counted from `start`."""
        if "_whole" in vars(self):
            return super().piece(start, stop)
        found = vars(self)["_column"].take(vars(self)["_embedder"], start, stop)
        return CorpusColumn(found.column, found.rows)

    def checksum(self, start: int, stop: int) -> int:
        """Return the CRC-32 of what memories start to stop have: numbers and embeddings."""
        return self.piece(start, stop).checksum(0, stop - start)
