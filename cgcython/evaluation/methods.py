"""Every method that suits a kind of embedding, beside float32: the table of all choices."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from cgcython.codecs.base import InputKind
from cgcython.evaluation import limits
from cgcython.evaluation.comparison import Change, Gain, Judge, Judged, Loss
from cgcython.evaluation.metrics import CUTOFF
from cgcython.evaluation.ranking import Column, Embedding, Ranked, Representation, Tops, rank
from cgcython.evaluation.representations import Exact
from cgcython.types import Array, Float64Array, Int64Array

FLOAT32 = "float32"
DEPTH, ENOUGH = 512, 0.98  # of a shortlist, and the part of the top 10 that it must hold
MIXED, IN_DOMAIN = "mixed", "in-domain"
Times: TypeAlias = tuple[float | None, float | None]  # µs to encode an embedding, ns to scan a row


class Run(NamedTuple):
    """What one run of a method came to."""

    ranked: Ranked
    times: Times


@dataclass(frozen=True)
class Method:
    """A way to code: for each run a function that makes its representation; runs differ by seed.

    Methods of one `family` are the sizes of one curve. Those of equal `books`, training and size
    share what was trained.
    """

    name: str
    runs: tuple[Callable[[], Representation], ...]
    training: str | None = None
    size: int | None = None
    family: str = ""
    books: str = ""

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.name, self.size, self.training) if part)


@dataclass(frozen=True, eq=False)
class MethodRow:
    """One line: a method and what it costs, the mean of its runs; the largest loss is of all.

    `gain10` is by how much `overlap10` exceeds that of rotated PQ of the same bytes, or of its
    nearest size with fewer, which rotated PQ itself is compared with; None where there is none.
    `overlaps` are of single queries. `shortlist` is how many rows, the first by this method, hold
    98 % of float32's top 10; None where more than 512 would.
    """

    embedder: str
    method: str
    family: str
    training: str | None
    size: int | None
    bytes_each: float
    runs: int
    encode_us: float | None
    scan_ns: float | None
    loss: Loss | None
    overlap10: float | None
    shortlist: int | None
    gain10: Gain | None
    ndcg10: Change | None
    recall10: Change | None
    missed: tuple[str, ...] = ()
    overlaps: Float64Array = field(default_factory=lambda: np.empty(0), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON, without what single queries found."""
        names = [one.name for one in fields(self) if one.name != "overlaps"]
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value: Any) -> Any:
    return vars(value) if isinstance(value, (Loss, Change, Gain)) else value


def compare_methods(
    embedder: str,
    column: Column,
    methods: Sequence[Method],
    queries: Sequence[Embedding],
    relevant: Sequence[Judged] | None = None,
    *,
    memories: Int64Array | None = None,
    metric: str = "cosine",
    num_threads: int = 1,
    hear: Callable[[int, int, str], object] = lambda done, total, what: None,
) -> list[MethodRow]:
    """Return a MethodRow for float32 and for each of the methods.

    `queries` are embeddings, `relevant` one `{memory: gain}` for each; `memories` the numbers of
    the rows, ascending, where they are not 0, 1, 2... `hear(done, total, what)` is told of each run
    before it begins.
    """
    numbers = np.arange(len(column)) if memories is None else memories
    total, done = 1 + sum(len(method.runs) for method in methods), 0

    def run(make: Callable[[], Representation], what: str) -> Run:
        nonlocal done
        hear(done, total, what)
        done += 1
        return run_of(make(), column, queries, metric=metric, num_threads=num_threads)

    exact = run(partial(exact_of, column), FLOAT32)
    found = [[run(make, str(method)) for make in method.runs] for method in methods]
    hear(total, total, "done")
    return rows_of(embedder, methods, numbers, exact, found, relevant)


def exact_of(column: Column) -> Representation:
    """Return what ranks a column as float32."""
    return Exact(_inputs_of(column))


def run_of(
    documents: Representation,
    column: Column,
    queries: Sequence[Embedding],
    *,
    metric: str = "cosine",
    num_threads: int = 1,
) -> Run:
    """Return the Run of one representation of a column."""
    ranked = rank(documents, column, queries, k=DEPTH, metric=metric, num_threads=num_threads)
    return Run(ranked, (documents.encode_us, documents.scan_ns))


def rows_of(
    embedder: str,
    methods: Sequence[Method],
    memories: Int64Array,
    exact: Run,
    found: Sequence[Sequence[Run]],
    relevant: Sequence[Judged] | None = None,
) -> list[MethodRow]:
    """Return a MethodRow for the Run of float32 and for the Runs of each method.

    `memories` are the numbers of the rows, ascending.
    """
    rows = []
    for method, runs in zip([Method(FLOAT32, ()), *methods], [[exact], *found]):
        judged = [
            (one.ranked, _judge(memories, exact.ranked, one.ranked, relevant)) for one in runs
        ]
        rows.append(_row(embedder, method, memories, runs[-1].times, judged, exact.ranked.tops))
    return list(_judged(rows))


def _inputs_of(column: Column) -> InputKind:
    return InputKind.DENSE if isinstance(column[0], np.ndarray) else InputKind.SPARSE


def _judge(
    memories: Int64Array, exact: Ranked, coded: Ranked, relevant: Sequence[Judged] | None
) -> Judge:
    judge = Judge(memories)
    for number in range(len(exact.tops)):
        one, other = (memories[ranked.tops[number][0][:CUTOFF]] for ranked in (exact, coded))
        judge.see(one.tolist(), other.tolist(), relevant[number] if relevant else None)
    return judge


def _row(
    embedder: str,
    method: Method,
    memories: Int64Array,
    times: Times,
    runs: Sequence[tuple[Ranked, Judge]],
    exact: Tops,
) -> MethodRow:
    """Return the MethodRow of one or more (Ranked, Judge) runs, not yet beside any other."""
    losses = [Loss.of(ranked.losses) for ranked, _ in runs if ranked.losses is not None]
    judges = [judge for _, judge in runs]
    ndcg10, recall10 = zip(*(one.per_query() for one in judges))
    overlaps = np.mean([one.overlaps for one in judges], axis=0)
    return MethodRow(
        embedder=embedder,
        method=method.name,
        family=method.family or method.name,
        training=method.training,
        size=method.size,
        bytes_each=runs[0][0].num_bytes / len(memories),
        runs=len(runs),
        encode_us=times[0],
        scan_ns=times[1],
        loss=Loss.mean_of(losses) if losses else None,
        overlap10=float(np.mean(overlaps)) if len(overlaps) else None,
        shortlist=_shortlist(exact, [ranked.tops for ranked, _ in runs]),
        gain10=None,
        ndcg10=_mean_change(ndcg10),
        recall10=_mean_change(recall10),
        overlaps=overlaps,
    )


def _shortlist(exact: Tops, found: Sequence[Tops]) -> int | None:
    """Return the length of the shortlist that holds enough of float32's top 10."""
    places = [
        np.argmax(np.append(tops[query][0], row) == row)
        for tops in found
        for query in range(len(exact))
        for row in exact[query][0][:CUTOFF]
    ]
    if not places:
        return None
    last = int(np.sort(places)[math.ceil(ENOUGH * len(places)) - 1])
    return last + 1 if last < DEPTH else None


def _mean_change(values: Sequence[Array]) -> Change | None:
    """Return the Change to the mean of some runs, from their (float32, codes) columns."""
    base, new = np.mean(values, axis=0).T
    return Change.of(base, new) if len(base) else None


def _judged(rows: Sequence[MethodRow]) -> Iterator[MethodRow]:
    """Yield rows with their gains over rotated PQ, and what they miss of their limits."""
    for row in rows:
        base = _base_of(row, rows)
        if base is not None and len(row.overlaps):
            over = f"{base.method} of {base.size} bytes"
            row = replace(row, gain10=Gain.of(over, base.overlaps, row.overlaps))
        if row.training != IN_DOMAIN:
            limit = limits.method_limit(row.method, row.size)
            row = replace(row, missed=limit.missed(row, row.loss, row.gain10))
        yield row


def _base_of(row: MethodRow, rows: Sequence[MethodRow]) -> MethodRow | None:
    """Return the rotated PQ that a row is compared with: the largest other one of no more bytes.

    Where a row was not trained, it is of the first training.
    """
    every = [one for one in rows if one.method == limits.ROTATED_PQ]
    training = row.training or (every[0].training if every else None)
    fitting = [
        one
        for one in every
        if one is not row and one.training == training and one.bytes_each <= row.bytes_each
    ]
    if row.method == FLOAT32:
        return None
    return max(fitting, key=lambda one: one.bytes_each, default=None)
