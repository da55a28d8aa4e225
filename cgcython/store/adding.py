"""Adds records column by column: the arrays of a batch, encoded embedder by embedder."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from cgcython.checks import iterated, require_progress, require_whole
from cgcython.errors import InvalidInput
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.inputs.batches import Arrays, Batch, encode, take_batch
from cgcython.store.ids import as_key, name_of
from cgcython.store.writing import RecordWriter
from cgcython.types import Progress

ROWS = 1024  # of a batch
_LAST_NUMBER = b"\2" + b"\xff" * 8  # key of the largest integer that is an id
_ROW_KEY_BYTES = 9


class RecordAdder(RecordWriter):
    """A RecordWriter that takes arrays too.

    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from cgcython import RecordStore
    >>> ids = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"]
    >>> with TemporaryDirectory() as folder, RecordStore.open(folder) as store:
    ...     store.add(ids, {"E8": np.eye(2, 384)}, [{"lang": "en"}, {"lang": "de"}])
    ...     store.info(ids[1]).metadata
    2
    {'lang': 'de'}
    """

    def add(
        self,
        ids: Any,
        arrays: Arrays,
        metadata: Any = None,
        *,
        num_threads: int = 1,
        batch_size: int = ROWS,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        progress: Progress | None = None,
    ) -> int:
        """Keep a record for each row of some arrays, and return their number.

        `arrays` is `{embedder: rows}` or a table (pandas, polars, Arrow) with columns of these
        names. Rows are a matrix [n, dim]; for sparse vectors a matrix of scipy or torch, or a list
        of SparseVectors; for tokens a list of matrices, a TokenArray, or `(padded, mask)`. None in
        a list, a null of a column, or a masked row, is a record without this embedder.

        `ids` is a list, an array or a column; of a table, the name of one. Without ids, records get
        row numbers: integers from one more than the largest integer id on. `metadata` has an object
        for each record, or is a table; of a table of embeddings, all other columns are metadata.

        An id that is there is replaced. All input is looked at before anything is written; then
        each batch of `batch_size` is written all or nothing, and `progress` is called with its
        size. Raises InvalidInput, DimensionMismatch, NonFiniteValue and what encoding raises, with
        a note that names the row.
        """
        self._keeper.require_writable()
        size = min(require_whole(batch_size, "batch_size", least=1), sys.maxsize)
        require_progress(progress)
        batch = take_batch(ids, arrays, metadata, self.profile)
        keys = self._keys(batch)
        for start in range(0, batch.num_records, size):
            rows = range(start, min(start + size, batch.num_records))
            self._add_rows(batch, keys, rows, budget_bytes, num_threads)
            if progress is not None:
                progress(len(rows))
        return batch.num_records

    def _add_rows(
        self,
        batch: Batch,
        keys: Sequence[bytes],
        rows: range,
        budget_bytes: int | None,
        num_threads: int,
    ) -> None:
        """Encode some rows of a batch and write them, all or nothing."""
        records = encode(batch.columns, rows, self.router, budget_bytes, num_threads)
        told = [None] * len(rows) if batch.metadata is None else batch.metadata[rows.start :]
        self._store_records(
            {
                keys[row]: one if about is None else one.with_info(metadata=about)
                for row, one, about in zip(rows, records, told)
            }
        )
        self.note_losses()

    def add_batches(self, batches: Iterable[Any], **options: Any) -> int:
        """Keep the records of batches that a generator yields, and return their number.

        Each is `(ids, arrays)` or `(ids, arrays, metadata)`, added as `add` does with the same
        options; its arrays may be filled again for the next one.
        """
        count = 0
        for batch in iterated(batches, "batches", "(ids, arrays) pairs"):
            if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
                expected, actual = "(ids, arrays) or (ids, arrays, metadata)", f"{batch!r:.60}"
                raise InvalidInput(what="batch", expected=expected, actual=actual)
            count += self.add(*batch, **options)
        return count

    def _keys(self, batch: Batch) -> Sequence[bytes]:
        """Return the key of each record; raises InvalidInput for an id that is there twice."""
        ids: Iterable[Any] | None = batch.ids
        if ids is None:
            first = self._next_number()
            ids = range(first, first + batch.num_records)
        keys = list(map(as_key, ids))
        if len(set(keys)) < len(keys):
            seen: set[bytes] = set()
            twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # None goes on
            raise InvalidInput(what="ids", expected="no id twice", actual=name_of(twice))
        return keys

    def _next_number(self) -> int:
        """Return one more than the largest integer that is an id and not negative, or 0."""
        upto = _LAST_NUMBER
        while key := self._keeper.last_key(upto):
            if key[:1] != b"\2":
                break
            if len(key) == _ROW_KEY_BYTES:
                return int.from_bytes(key[1:], "big") + 1
            upto = (int.from_bytes(key, "big") - 1).to_bytes(len(key), "big")  # a UUID
        return 0
