"""Every method that suits a kind of embedding, beside float32: the table of all choices."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from cgcython.codecs.base import InputKind
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sizes import sizes_of
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.sparse_layouts import NAMES
from cgcython.evaluation import limits
from cgcython.evaluation.comparison import Change, Judge, Judged, Loss
from cgcython.evaluation.folds import Folded, Rows, require_enough, train_folds
from cgcython.evaluation.ranking import Column, Embedding, Ranked, Representation, rank
from cgcython.evaluation.representations import Block, Codes, Exact, near
from cgcython.types import Array, Float32Array, Int64Array

FLOAT32 = "float32"
MIXED, IN_DOMAIN = "mixed", "in-domain"
PROJECTED_BITS, PROJECTIONS = 1024, 10


@dataclass(frozen=True)
class Method:
    """A way to code: for each run a function that makes its representation; runs differ by seed."""

    name: str
    runs: tuple[Callable[[], Representation], ...]
    training: str | None = None
    size: int | None = None

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.name, self.size, self.training) if part)


@dataclass(frozen=True)
class MethodRow:
    """One line: a method and what it costs, the mean of its runs; the largest loss is of all."""

    embedder: str
    method: str
    training: str | None
    bytes_each: float
    runs: int
    encode_us: float | None
    loss: Loss | None
    overlap10: float | None
    ndcg10: Change | None
    recall10: Change | None
    missed: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


class AskedAsFloat(Codes):
    """Codes that meet a float query as what they decode to: of sign bits, +1 and -1."""

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of documents: bytes of codes, scans of what these decode to."""
        found = super().block(documents, first, num_threads)
        batch = self.codec.encode_batch(documents, num_threads)
        return found._replace(scans=near(self.codec.decode_batch(batch, num_threads)))


class Projected:
    """Gaussian projections of documents and queries; losses would be those of projections."""

    def __init__(self, projected: Representation, dim: int, seed: int) -> None:
        self.projected, self.inputs = projected, projected.inputs
        rng = np.random.default_rng(seed)
        self.projection = rng.standard_normal((dim, PROJECTED_BITS)).astype(np.float32)

    @property
    def encode_us(self) -> float | None:
        """What encoding takes once projected."""
        return self.projected.encode_us

    def asked(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Return the projected queries."""
        return [np.asarray(query, np.float32) @ self.projection for query in queries]

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of the projected documents."""
        found = self.projected.block(documents @ self.projection, first, num_threads)
        return found._replace(losses=None)


def sparse_methods(dim: int) -> list[Method]:
    """Return the Methods of sparse vectors: their layouts."""
    return [Method(one, (partial(Codes, SparseCodec(dim, one)),)) for one in NAMES]


def dense_methods(dim: int) -> list[Method]:
    """Return the Methods of vectors that need no training."""
    signs, wide = BinaryCodec(dim), BinaryCodec(PROJECTED_BITS)

    def projected(kind: type[Codes]) -> tuple[Callable[[], Representation], ...]:
        def make(seed: int) -> Representation:
            return Projected(kind(wide), dim, seed)

        return tuple(partial(make, seed) for seed in range(PROJECTIONS))

    return [
        Method(limits.FLOAT8, (partial(Codes, Float8Codec(dim)),)),
        Method(limits.SIGNS, (partial(Codes, signs),)),
        Method(limits.SIGNS_ASKED, (partial(AskedAsFloat, signs),)),
        Method(limits.PROJECTED, projected(Codes)),
        Method(limits.PROJECTED_ASKED, projected(AskedAsFloat)),
    ]


def trained_methods(
    column: Rows,
    others: Rows | None,
    *,
    sizes: Sequence[int] | None = None,
    folds: int = 2,
    seeds: int = 5,
    in_domain: bool = False,
    num_threads: int = 1,
) -> list[Method]:
    """Return the Methods of product quantization, of all sizes unless some are given.

    `others` are rows of other texts; without any, and beside them if `in_domain`, codebooks are
    trained on the other folds alone. Raises InvalidInput where these are too few.
    """
    kinds: dict[str, Rows | None] = {MIXED: others} if others is not None else {}
    kinds |= {IN_DOMAIN: None} if in_domain or others is None else {}
    for rows in kinds.values():
        require_enough(column, rows, folds)

    train = partial(_trained, column, folds=folds, num_threads=num_threads)
    return [
        Method(
            name,
            tuple(partial(train, rows, size, rotation, seed) for seed in range(seeds)),
            training,
            size,
        )
        for training, rows in kinds.items()
        for name, rotation in ((limits.PLAIN_PQ, None), (limits.ROTATED_PQ, "opq"))
        for size in sizes or sizes_of(len(column[0]))
    ]


def _trained(
    column: Rows,
    others: Rows | None,
    size: int,
    rotation: str | None,
    seed: int,
    *,
    folds: int,
    num_threads: int,
) -> Representation:
    """Return the codes of the codebooks of all folds, which are trained now."""
    options = {"folds": folds, "seed": seed, "num_threads": num_threads}
    return Folded(train_folds(column, others, size, rotation=rotation, **options))


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
) -> Iterator[MethodRow]:
    """Yield a MethodRow for float32 and for each of the methods.

    `queries` are embeddings, `relevant` one `{memory: gain}` for each; `memories` the numbers of
    the rows, ascending, where they are not 0, 1, 2... `hear(done, total, what)` is told of each run
    before it begins.
    """
    numbers = np.arange(len(column)) if memories is None else memories
    total, done = 1 + sum(len(method.runs) for method in methods), 0

    def run(documents: Representation) -> Ranked:
        return rank(documents, column, queries, metric=metric, num_threads=num_threads)

    hear(done, total, FLOAT32)
    exact = run(Exact(_inputs_of(column)))
    judged = _judge(numbers, exact, exact, relevant)
    yield _row(embedder, Method(FLOAT32, ()), column, None, [(exact, judged)])
    for method in methods:
        found, encode_us = [], None
        for make in method.runs:
            done += 1
            hear(done, total, str(method))
            documents = make()
            ranked, encode_us = run(documents), documents.encode_us
            found.append((ranked, _judge(numbers, exact, ranked, relevant)))
        yield _row(embedder, method, column, encode_us, found)
    hear(total, total, "done")


def _inputs_of(column: Column) -> InputKind:
    return InputKind.DENSE if isinstance(column[0], np.ndarray) else InputKind.SPARSE


def _judge(
    memories: Int64Array, exact: Ranked, coded: Ranked, relevant: Sequence[Judged] | None
) -> Judge:
    judge = Judge(memories)
    for number in range(len(exact.tops)):
        one, other = (memories[ranked.tops[number][0]].tolist() for ranked in (exact, coded))
        judge.see(one, other, relevant[number] if relevant else None)
    return judge


def _row(
    embedder: str,
    method: Method,
    column: Column,
    encode_us: float | None,
    runs: Sequence[tuple[Ranked, Judge]],
) -> MethodRow:
    """Return the MethodRow of one or more (Ranked, Judge) runs."""
    losses = [Loss.of(ranked.losses) for ranked, _ in runs if ranked.losses is not None]
    judges = [judge for _, judge in runs]
    ndcg10, recall10 = zip(*(one.per_query() for one in judges))
    overlaps = [found for one in judges if (found := one.overlap()) is not None]
    row = MethodRow(
        embedder,
        method.name,
        method.training,
        runs[0][0].num_bytes / len(column),
        len(runs),
        encode_us,
        Loss.mean_of(losses) if losses else None,
        float(np.mean(overlaps)) if overlaps else None,
        _mean_change(ndcg10),
        _mean_change(recall10),
    )
    limit = limits.method_limit(method.name, method.size)
    return replace(row, missed=() if method.training == IN_DOMAIN else limit.missed(row, row.loss))


def _mean_change(values: Sequence[Array]) -> Change | None:
    """Return the Change to the mean of some runs, from their (float32, codes) columns."""
    base, new = np.mean(values, axis=0).T
    return Change.of(base, new) if len(base) else None
