"""Encodes the embeddings of many records: a block of records at a time, embedder by embedder.

Threads take whole blocks: what is left of Python in one runs while the kernels of another do.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from cgcython import kernels
from cgcython.base import EmbedderId
from cgcython.embedders.route import Route
from cgcython.parallel import each, require_threads
from cgcython.records import QuantizedBatch
from cgcython.types import Int64Array

BLOCK = 512  # records: so many that what each block costs does not count
Given = TypeVar("Given", bound="Source")
Made = TypeVar("Made")
_Sample: TypeAlias = tuple[Route, float]  # what one embedding lost
RouteOf = Callable[[EmbedderId, int], Route]  # of an embedder and a step of LADDER


class Source(Protocol):
    """Embeddings by number; `batch` has some of them as Codec.encode_batch takes them."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...
    def batch(self, start: int, stop: int, /) -> Any: ...


class Part(NamedTuple, Generic[Given]):
    """The embeddings that go through one route.

    `rows` are the records that have one, ascending; None means that all have.
    """

    route: Route
    source: Given
    rows: Int64Array | None = None

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range of embeddings that belong to records start to stop."""
        if self.rows is None:
            return start, stop
        first, last = np.searchsorted(self.rows, (start, stop)).tolist()
        return first, last

    def encoded(self, first: int, last: int, start: int) -> "Encoded":
        """Return embeddings first to last encoded; row 0 of their block is record `start`."""
        batch = self.route.encode_batch(self.source.batch(first, last))
        rows = None if self.rows is None else self.rows[first:last] - start
        return Encoded(self.route, batch, rows)

    def loss(self, i: int, batch: QuantizedBatch, row: int) -> float:
        """Return what embedding i lost, which is a row of a batch."""
        return self.route.loss(self.source[i], self.route.codec.row(batch, row))


class Encoded(NamedTuple):
    """What a block has of a part: a batch, and which rows of the block it is of (None: all)."""

    route: Route
    batch: QuantizedBatch
    rows: Int64Array | None


class Listed:
    """The embeddings of a list."""

    def __init__(self, route: Route, embeddings: Sequence[Any]) -> None:
        self._route, self._embeddings = route, embeddings

    def __len__(self) -> int:
        return len(self._embeddings)

    def __getitem__(self, index: int) -> Any:
        return self._embeddings[index]

    def batch(self, start: int, stop: int) -> Any:
        """Return some embeddings; those of a dense embedder as a matrix, where they are plain."""
        some = list(self._embeddings[start:stop])
        if not self._route.is_dense:
            return some
        matrix = np.empty((len(some), self._route.codec.dim), np.float32)
        return matrix if kernels.sections.stack(some, False, matrix) else some

    def section_sizes(self) -> list[int] | int:
        """Return the bytes of the section of each embedding, or the one size of all."""
        return self._route.section_sizes(self._embeddings)


def section_sizes(parts: Sequence[Part[Listed]], count: int) -> Int64Array:
    """Return the bytes of all sections of each of `count` records, before they are encoded."""
    sizes = np.zeros(count, np.int64)
    for part in parts:
        sizes[slice(None) if part.rows is None else part.rows] += part.source.section_sizes()
    return sizes


def listed(
    fingerprints: Sequence[Mapping[Any, Any]], steps: Sequence[int] | None, route_of: RouteOf
) -> list[Part[Listed]]:
    """Return the parts of fingerprints, each at its step of LADDER, by number of the embedder."""
    if not fingerprints:
        return []
    first = list(fingerprints[0])
    if (steps is None or len(set(steps)) == 1) and all(
        list(one.keys()) == first for one in fingerprints
    ):
        routes = [route_of(name, steps[0] if steps else 0) for name in first]
        columns = zip(*[one.values() for one in fingerprints])
        parts = [Part(one, Listed(one, column)) for one, column in zip(routes, columns)]
    else:
        parts = _gathered(fingerprints, steps, route_of)
    return sorted(parts, key=lambda part: int(part.route.model_id))


def _gathered(
    fingerprints: Sequence[Mapping[Any, Any]], steps: Sequence[int] | None, route_of: RouteOf
) -> list[Part[Listed]]:
    columns: dict[Route, tuple[list[int], list[Any]]] = {}
    for row, one in enumerate(fingerprints):
        for name, embedding in one.items():
            rows, column = columns.setdefault(route_of(name, steps[row] if steps else 0), ([], []))
            rows.append(row)
            column.append(embedding)
    return [
        Part(route, Listed(route, column), np.array(rows, np.int64))
        for route, (rows, column) in columns.items()
    ]


def encode_blocks(
    parts: Sequence[Part[Any]],
    records: range,
    finish: Callable[[int, list[Encoded]], list[Made]],
    num_threads: int = 1,
) -> list[Made]:
    """Return what `finish(rows, encoded)` makes of the blocks of records, one for each record.

    The embeddings are counted, and the losses of some measured, as by `Route.quantize_batch`.
    """
    size = max(1, min(BLOCK, -(-len(records) // require_threads(num_threads))))
    samples = [(part, _sampled(part, records)) for part in parts]

    def work(start: int) -> tuple[list[Made], list[_Sample]]:
        stop, encoded, measured = min(start + size, records.stop), [], []
        for part, wanted in samples:
            first, last = part.within(start, stop)
            if first < last:
                encoded.append(part.encoded(first, last, start))
                measured += [
                    (part.route, part.loss(i, encoded[-1].batch, i - first))
                    for i in wanted
                    if first <= i < last
                ]
        return finish(stop - start, encoded), measured

    found = each(work, range(records.start, records.stop, size), num_threads)
    for _, measured in found:  # in the order of the records, on any number of threads
        for route, loss in measured:
            route.note(loss)
    return [one for made, _ in found for one in made]


def _sampled(part: Part[Any], records: range) -> range:
    """Count the embeddings of records and return which of them are samples."""
    first, last = part.within(records.start, records.stop)
    rows = part.route.sampled(last - first, True)
    return range(rows.start + first, rows.stop + first, rows.step)


def embeddings_of(count: int, encoded: Sequence[Encoded]) -> list[dict[EmbedderId, Any]]:
    """Return `{embedder: QuantizedEmbedding}` of each row of a block."""
    columns = [(one.route.model_id, one.rows, one.route.codec.rows(one.batch)) for one in encoded]
    if columns and all(rows is None for _, rows, _ in columns):
        names = [name for name, _, _ in columns]
        return [dict(zip(names, row)) for row in zip(*(found for _, _, found in columns))]
    made: list[dict[EmbedderId, Any]] = [{} for _ in range(count)]
    for name, rows, found in columns:
        for row, one in zip(range(count) if rows is None else rows.tolist(), found):
            made[row][name] = one
    return made
