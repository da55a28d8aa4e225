"""Tables in files: Parquet, and Arrow's IPC format (Feather); read some rows at a time.

What a file has of embeddings becomes arrays in memory or, where they are large, in a temporary
file; text and numbers are read when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.base import Embedder
from cgcython.codecs.base import codec_class
from cgcython.corpus.growing import join_columns
from cgcython.corpus.specs import TABLES
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.inputs.arrow import from_arrow, is_embedding
from cgcython.inputs.columns import Column
from cgcython.inputs.packages import records_of
from cgcython.inputs.taking import Taken
from cgcython.types import Array, Int64Array

PARQUET, *ARROW = TABLES
ROWS = 4096  # read at a time


class TableFile:
    """A file of columns of one length. Raises InvalidInput for what is none, or damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _parquet(path) if path.suffix == PARQUET else _arrow(path)
        with self.reading():
            self.schema: Any = self._file.schema_arrow if self._is_parquet else self._file.schema
            self._ends = np.cumsum(self._lengths(), dtype=np.int64)
        self._group: tuple[int, tuple[str, ...], Any] | None = None  # the one that was read last

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == PARQUET

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def columns(self) -> dict[str, TableColumn]:
        """Return the columns by name; of a name that stands twice the first."""
        names = list(dict.fromkeys(self.schema.names))
        return {name: TableColumn(self, name) for name in names}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Tell what pyarrow raises at damage as what it is."""
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, QuantizationError):
                raise
            what, expected = str(self.path), f"a {self.path.suffix} file"
            reason = str(error).partition("\n")[0]
            raise InvalidInput(what=what, expected=expected, actual=reason) from None

    def _lengths(self) -> list[int]:
        """Return the rows of each row group or record batch."""
        if self._is_parquet:
            about = self._file.metadata
            return [about.row_group(i).num_rows for i in range(about.num_row_groups)]
        return [self._file.get_batch(i).num_rows for i in range(self._file.num_record_batches)]

    def batches(self, name: str) -> Iterator[Any]:
        """Yield one column as Arrow's arrays of some rows."""
        with self.reading():
            if self._is_parquet:
                for batch in self._file.iter_batches(ROWS, columns=[name]):
                    yield batch.column(name)
                return
            for i in range(self._file.num_record_batches):
                column = self._file.get_batch(i).column(name)
                for start in range(0, len(column), ROWS):
                    yield column.slice(start, ROWS)

    def records(self, names: Sequence[str], start: int, stop: int) -> list[dict[str, Any]]:
        """Return rows start to stop as objects, without what is null in them."""
        found: list[dict[str, Any]] = []
        first_group = int(np.searchsorted(self._ends, start, "right"))
        for i in range(first_group, int(np.searchsorted(self._ends, stop)) + 1):
            if i < len(self._ends):
                table, first = self._group_of(i, tuple(names)), int(self._ends[i - 1]) * (i > 0)
                low = max(start - first, 0)
                found += records_of(table.slice(low, max(stop - first - low, 0)))
        return found

    def _group_of(self, i: int, names: tuple[str, ...]) -> Any:
        """Return some columns of a row group; the last one read is kept."""
        if self._group is None or self._group[:2] != (i, names):
            with self.reading():
                if self._is_parquet:
                    table = self._file.read_row_group(i, columns=list(names)).select(names)
                else:
                    table = self._file.get_batch(i).select(list(names))
            self._group = i, names, table
        return self._group[2]


class TableColumn:
    """One column of a table in a file."""

    def __init__(self, file: TableFile, name: str) -> None:
        self.file, self.name = file, name
        self.type = file.schema.field(file.schema.get_all_field_indices(name)[0]).type

    def __len__(self) -> int:
        return len(self.file)

    @property
    def is_embedding(self) -> bool:
        """Whether it holds lists of numbers, or what else embeddings are kept as."""
        return is_embedding(self.type)

    def take(self, row: Embedder) -> Taken:
        """Return the embeddings of an embedder, read through once."""
        kind, dim = codec_class(row.method).inputs, row.dimension
        present: list[Int64Array] = []
        count = 0

        def columns() -> Iterator[Column]:
            nonlocal count
            for array in self.file.batches(self.name):
                column, rows = from_arrow(array, kind, dim)
                column.check_dimension(dim)
                present.append(count + (np.arange(len(array)) if rows is None else rows))
                count += len(array)
                yield column

        try:
            whole = join_columns(columns())
            if whole is None:
                whole, _ = from_arrow(_none_of(self.type), kind, dim)
        except QuantizationError as error:
            error.about(row.model_id)
            raise
        rows = None if len(whole) == count else np.concatenate(present)
        return Taken(whole, rows, count)

    def to_list(self) -> list[Any]:
        """Return all values as Python has them, None where one is null."""
        return [one for array in self.file.batches(self.name) for one in array.to_pylist()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all values: numbers, or lists of numbers as rows."""
        return np.array(self.to_list(), dtype)


def _none_of(kind: Any) -> Any:
    import pyarrow as pa

    return pa.array([], kind)


def read_table(path: Path) -> dict[str, TableColumn]:
    """Return the columns of a table in a file by name; raises InvalidInput, UsageError."""
    try:
        import pyarrow  # noqa: F401  # tells early whether it is there
    except ImportError:
        reason = f"{path}: {path.suffix} files need pyarrow: pip install 'cgcython[arrow]'"
        raise UsageError(reason) from None
    return TableFile(path).columns()


def _parquet(path: Path) -> Any:
    from pyarrow import ArrowException
    from pyarrow import parquet as pq

    try:
        return pq.ParquetFile(path, memory_map=True)
    except (ArrowException, OSError, ValueError) as error:
        raise ValueError(str(error).partition("\n")[0]) from None


def _arrow(path: Path) -> Any:
    """Return the reader of a file in the IPC format; of a stream, as datasets keep, one of all."""
    import pyarrow as pa

    try:
        source = pa.memory_map(str(path))
        try:
            return pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            return _Stream(pa.ipc.open_stream(source))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ValueError(str(error).partition("\n")[0]) from None


class _Stream:
    """The record batches of a stream, mapped, behind what a reader of files offers."""

    def __init__(self, reader: Any) -> None:
        self.schema, self._batches = reader.schema, list(reader)
        self.num_record_batches = len(self._batches)

    def get_batch(self, i: int) -> Any:
        """Return a record batch."""
        return self._batches[i]
