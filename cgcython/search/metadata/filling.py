"""Reads metadata into an index, in batches that are neither many records nor large."""

import json
from collections.abc import Iterable, Iterator

from cgcython.search.keys import key_array
from cgcython.search.metadata.postings import Postings
from cgcython.search.metadata.rows import Rows
from cgcython.store.reading import RecordReader
from cgcython.store.where.entries import Entry, entries_of
from cgcython.types import KeyArray

BATCH, BATCH_BYTES = 1 << 14, 1 << 22  # records, and bytes of their metadata, taken at a time


def filled(postings: Postings, frozen: RecordReader) -> Rows:
    """Add all records of a moment to new postings and return their rows."""
    keys: list[KeyArray] = []
    first = 0
    for batch in in_batches(frozen._metadata_texts()):
        postings.add((entries_of_text(text) for _, text in batch), first)
        keys.append(key_array([key for key, _ in batch]))
        first += len(batch)
    return Rows.numbered(keys)


def in_batches(
    texts: Iterable[tuple[bytes, bytes | None]],
) -> Iterator[list[tuple[bytes, bytes | None]]]:
    """Yield batches of (key, text)."""
    batch: list[tuple[bytes, bytes | None]] = []
    size = 0
    for one in texts:
        batch.append(one)
        size += len(one[1] or b"")
        if len(batch) == BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def entries_of_text(text: bytes | None) -> set[Entry]:
    """Return the entries of metadata as JSON; none of none."""
    return entries_of(json.loads(text)) if text else set()
