"""Tables in files: Parquet, and Arrow's IPC format (Feather); read some rows at a time.

Rows become arrays in memory or, where they are large, in a temporary file, when they are asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.base import Embedder
from cgcython.codecs.base import codec_class
from cgcython.corpus.growing import join_columns
from cgcython.corpus.remote.object_file import ObjectFile
from cgcython.corpus.remote.objects import RemoteObject
from cgcython.corpus.specs import TABLES
from cgcython.errors import InvalidInput, QuantizationError, UsageError
from cgcython.inputs.arrow import from_arrow, is_embedding
from cgcython.inputs.columns import Column
from cgcython.inputs.packages import records_of
from cgcython.inputs.taking import Taken
from cgcython.types import Array, Int64Array

PARQUET, *ARROW = TABLES
ROWS = 4096  # read at a time
BUFFER_BYTES = 1 << 22  # that are read ahead of a column of an object


class TableFile:
    """A file of columns of one length. Raises InvalidInput for what is none, or damaged."""

    def __init__(self, place: Path | RemoteObject) -> None:
        self._object = place if isinstance(place, RemoteObject) else None
        self.path = place.url if isinstance(place, RemoteObject) else place
        with self.reading():
            self._file = _parquet(place) if self._is_parquet else _arrow(place)
            self.schema: Any = self._file.schema_arrow if self._is_parquet else self._file.schema
            self._ends = np.cumsum(self._lengths(), dtype=np.int64)
        self._group: tuple[int, tuple[str, ...], Any] | None = None  # the one that was read last
        self._streams: dict[str, _Stream] = {}  # one of each column

    @property
    def is_remote(self) -> bool:
        """Whether it lies at a URL."""
        return self._object is not None

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
        """Tell damage as what it is, and an object that is another when the block ends."""
        with self.told(), self._object.unchanged() if self._object else nullcontext():
            yield

    @contextmanager
    def told(self) -> Iterator[None]:
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

    def rows(self, name: str, start: int, stop: int) -> Iterator[Any]:
        """Yield rows start to stop of one column as Arrow's arrays of some rows.

        Reading goes on where it stopped: rows that follow each other are decoded once.
        """
        for group, low, high in self._groups(start, stop):
            with self.reading():
                yield from self._stream(name, group, low).until(low, high)

    def _groups(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield (row group, its first row of some, the one behind the last)."""
        stop = min(stop, len(self))
        for group in range(int(np.searchsorted(self._ends, start, "right")), len(self._ends)):
            first = int(self._ends[group - 1]) * (group > 0)
            if first >= stop:
                return
            yield group, max(start - first, 0), min(stop, int(self._ends[group])) - first

    def _stream(self, name: str, group: int, low: int) -> _Stream:
        found = self._streams.get(name)
        if found is None or found.group != group or found.first > low:
            found = self._streams[name] = _Stream(group, self._batches(name, group))
        return found

    def _batches(self, name: str, group: int) -> Iterator[Any]:
        if not self._is_parquet:
            column = self._file.get_batch(group).column(name)
            return (column.slice(start, ROWS) for start in range(0, len(column), ROWS))
        batches = self._file.iter_batches(ROWS, row_groups=[group], columns=[name])
        return (batch.column(name) for batch in batches)

    def records(self, names: Sequence[str], start: int, stop: int) -> list[dict[str, Any]]:
        """Return rows start to stop as objects, without what is null in them."""
        found: list[dict[str, Any]] = []
        for group, low, high in self._groups(start, stop):
            table = self._group_of(group, tuple(names))
            with self.told():
                found += records_of(table.slice(low, high - low))
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

    def check(self, row: Embedder) -> None:
        """Raise what `take` raises for columns of another type."""
        kind, dim = codec_class(row.method).inputs, row.dimension
        try:
            from_arrow(_none_of(self.type), kind, dim)
        except QuantizationError as error:
            error.about(row.model_id)
            raise

    def take(self, row: Embedder, start: int, stop: int) -> Taken:
        """Return the embeddings of an embedder in rows start to stop, which are counted from 0."""
        kind, dim = codec_class(row.method).inputs, row.dimension
        present: list[Int64Array] = []
        count = 0

        def columns() -> Iterator[Column]:
            nonlocal count
            for array in self.file.rows(self.name, start, stop):
                column, rows = from_arrow(array, kind, dim)
                column.check_dimension(dim)
                present.append(count + (np.arange(len(array)) if rows is None else rows))
                count += len(array)
                yield column

        try:
            whole = join_columns(columns())
            if whole is None:
                whole, _ = from_arrow(_none_of(self.type), kind, dim)
                whole.check_dimension(dim)
        except QuantizationError as error:
            error.about(row.model_id)
            raise
        rows = None if len(whole) == count else np.concatenate(present)
        return Taken(whole, rows, count)

    def __getitem__(self, rows: slice) -> list[Any]:
        """Return the values of some rows as Python has them, None where one is null."""
        start, stop, _ = rows.indices(len(self))
        arrays = self.file.rows(self.name, start, stop)
        with self.file.told():
            return [one for array in arrays for one in array.to_pylist()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return all values: numbers, or lists of numbers as rows."""
        return np.array(self[:], dtype)


class _Stream:
    """A column of a row group, decoded from its beginning on, as far as it was read."""

    def __init__(self, group: int, batches: Iterator[Any]) -> None:
        self.group, self.first = group, 0  # the row that is first in what is kept
        self._batches, self._kept = batches, None

    def until(self, low: int, high: int) -> Iterator[Any]:
        """Yield rows low to high, of which the first is not before `first`."""
        while low < high:
            if self._kept is None:
                self._kept = next(self._batches, None)
                if self._kept is None:
                    raise ValueError(f"its row group {self.group} ends at row {self.first}")
            end = self.first + len(self._kept)
            if low < end:
                yield self._kept.slice(low - self.first, min(high, end) - low)
                low = min(high, end)
            if low >= end:
                self.first, self._kept = end, None


def _none_of(kind: Any) -> Any:
    import pyarrow as pa

    return pa.array([], kind)


def read_table(place: Path | RemoteObject) -> dict[str, TableColumn]:
    """Return the columns of a table by name; raises InvalidInput, UsageError."""
    try:
        import pyarrow  # noqa: F401  # tells early whether it is there
    except ImportError:
        path = place.url if isinstance(place, RemoteObject) else place
        reason = f"{path}: {path.suffix} files need pyarrow: pip install 'cgcython[arrow]'"
        raise UsageError(reason) from None
    return TableFile(place).columns()


def _parquet(place: Path | RemoteObject) -> Any:
    import pyarrow as pa
    from pyarrow import parquet as pq

    if isinstance(place, RemoteObject):
        file = pa.PythonFile(ObjectFile(place), mode="r")
        return pq.ParquetFile(file, buffer_size=BUFFER_BYTES)
    return pq.ParquetFile(place, memory_map=True)


def _arrow(path: Any) -> Any:
    """Return the reader of a file in the IPC format; of a stream, as datasets keep, one of all."""
    import pyarrow as pa

    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return _ArrowStream(pa.ipc.open_stream(source))


class _ArrowStream:
    """The record batches of a stream, mapped, behind what a reader of files offers."""

    def __init__(self, reader: Any) -> None:
        self.schema, self._batches = reader.schema, list(reader)
        self.num_record_batches = len(self._batches)

    def get_batch(self, i: int) -> Any:
        """Return a record batch."""
        return self._batches[i]
