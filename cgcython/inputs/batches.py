"""Batches of records as callers have them: ids, embeddings column by column, metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cgcython.arrays import shape_of
from cgcython.base import EmbedderId, Profile
from cgcython.checks import require_items, require_mapping
from cgcython.embedders.blocks import Part
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint, encode_all, encode_parts
from cgcython.inputs import packages
from cgcython.inputs.columns import Embedding
from cgcython.inputs.taking import Taken, take
from cgcython.router import QuantizationRouter

Arrays: TypeAlias = Mapping[Any, Any]  # by any name of an embedder, or a table with such columns
Metadata: TypeAlias = Mapping[str, Any]


class Batch(NamedTuple):
    """Records that were taken apart and checked, but not encoded yet.

    `ids` is None where they came without; `metadata` is None, or has an item for each record.
    """

    ids: list[Any] | None
    columns: dict[EmbedderId, Taken]
    metadata: list[Metadata | None] | None
    num_records: int


def take_batch(ids: Any, arrays: Any, metadata: Any, profile: Profile) -> Batch:
    """Return a Batch of what `store.add` is given; all of one number of records.

    Raises InvalidInput, DimensionMismatch and what conversions raise.
    """
    named, others = _named(arrays, profile)
    if isinstance(ids, str):
        if ids not in others:
            have = ", ".join(others) or "none"
            raise InvalidInput(what="ids", expected=f"a column of {have}", actual=repr(ids))
        ids = others.pop(ids)
    columns = {embedder: take(one, profile[embedder]) for embedder, one in sorted(named.items())}
    listed = None if ids is None else _ids(ids)
    count = _count(columns, listed)
    if metadata is None and others:
        metadata = packages.records_of(others)
    return Batch(listed, columns, _metadata(metadata, count), count)


def _named(arrays: Any, profile: Profile) -> tuple[dict[EmbedderId, Any], dict[str, Any]]:
    """Return the columns of embedders, and all others that a table has."""
    if not packages.is_table(arrays):
        found = require_mapping(arrays, "arrays")
        return {_known(name, one, profile): one for name, one in found.items()}, {}
    named: dict[EmbedderId, Any] = {}
    others: dict[str, Any] = {}
    for name, one in packages.columns_of(arrays).items():
        try:
            embedder = profile.embedder(name)
        except QuantizationError:
            others[name] = one
            continue
        if embedder in profile:
            named[embedder] = one
        else:
            others[name] = one
    return named, others


def _known(name: Any, rows: Any, profile: Profile) -> EmbedderId:
    """Return the embedder of a name; raises InvalidInput, with the row to add for its rows."""
    try:
        return profile.row(name).model_id
    except InvalidInput:
        shape = shape_of(rows) or ()
        raise profile.unknown(name, shape[1] if len(shape) == 2 else None) from None


def _ids(ids: Any) -> list[Any]:
    """Return ids in a list: integers, text, UUIDs or 16 bytes each."""
    ids = packages.unpacked(ids)
    if isinstance(ids, np.ndarray) and ids.ndim == 2:  # bytes, 16 in a row
        return [row.tobytes() for row in ids]
    return packages.as_list(ids, "ids")


def _count(columns: Mapping[EmbedderId, Taken], ids: Sequence[Any] | None) -> int:
    """Return how many records there are; raises InvalidInput where columns do not agree."""
    if not columns:
        raise InvalidInput(what="arrays", expected="one embedder or more", actual="none")
    counts = {embedder.short: one.num_records for embedder, one in columns.items()}
    counts |= {} if ids is None else {"ids": len(ids)}
    first, count = next(iter(counts.items()))
    for name, other in counts.items():
        if other != count:
            raise InvalidInput(what=name, expected=f"{count} rows, as {first} has", actual=other)
    return count


def _metadata(given: Any, count: int) -> list[Metadata | None] | None:
    if given is None:
        return None
    if packages.is_table(given) or isinstance(given, Mapping):
        given = packages.records_of(given)
    listed = [
        one if one is None else require_mapping(one, "metadata")
        for one in require_items(given, "metadata")
    ]
    if len(listed) != count:
        raise InvalidInput(what="metadata", expected=f"{count} objects", actual=len(listed))
    return listed


def encode(
    columns: Mapping[EmbedderId, Taken],
    rows: range,
    router: QuantizationRouter,
    budget_bytes: int | None,
    num_threads: int = 1,
) -> list[QuantizedFingerprint]:
    """Return the records of some rows, encoded embedder by embedder, each within the budget.

    Those that the finest layouts do not fit are encoded again. What is raised has a note that
    tells which record it is about.
    """
    try:
        parts = [Part(router._route_of(one), *taken[:2]) for one, taken in columns.items()]
        records = encode_parts(parts, rows, num_threads)
        large = [i for i, one in enumerate(records) if not one.fits(budget_bytes)]
        if large:
            again = [_fingerprint(columns, rows[i]) for i in large]
            for i, one in zip(large, encode_all(again, router, budget_bytes, num_threads)):
                records[i] = one
    except QuantizationError as error:
        _raise_named(columns, rows, router, budget_bytes, error)
    return records


def _fingerprint(columns: Mapping[EmbedderId, Taken], record: int) -> Fingerprint:
    return Fingerprint(dict(_embeddings(columns, record)))


def _embeddings(
    columns: Mapping[EmbedderId, Taken], record: int
) -> Iterator[tuple[EmbedderId, Embedding]]:
    for embedder, one in columns.items():
        first, last = one.within(record, record + 1)
        if first < last:
            yield embedder, one.column[first]


def _raise_named(
    columns: Mapping[EmbedderId, Taken],
    records: Iterable[int],
    router: QuantizationRouter,
    budget_bytes: int | None,
    error: QuantizationError,
) -> None:
    """Raise the error of the first record that cannot be encoded, named."""
    for record in records:
        try:
            _fingerprint(columns, record).encode(router, budget_bytes)
        except QuantizationError as found:
            found.add_note(f"(row {record})")
            raise found from None
    raise error
