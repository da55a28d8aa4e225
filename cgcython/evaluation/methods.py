"""Every method that suits a kind of embedding, beside float32: the table of all choices."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from cgcython.base import QuantizationMethod
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sizes import sizes_of
from cgcython.codecs.sparse import LAYOUTS, SparseCodec
from cgcython.evaluation import limits
from cgcython.evaluation.comparison import Change, Judge, Loss
from cgcython.evaluation.folds import Folded, require_enough, train_folds
from cgcython.evaluation.ranking import rank
from cgcython.evaluation.representations import Codes, Exact, near

FLOAT32 = "float32"
MIXED, IN_DOMAIN = "mixed", "in-domain"
PROJECTED_BITS, PROJECTIONS = 1024, 10


@dataclass(frozen=True)
class Method:
    """A way to code: a function for each run that makes its side; runs differ by seed."""

    name: str
    runs: tuple[Callable, ...]
    training: str | None = None
    size: int | None = None

    def __str__(self):
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

    def as_dict(self):
        """Return the row for JSON."""
        return asdict(self)


class AskedAsFloat(Codes):
    """Codes that meet a float query as what they decode to: of sign bits, +1 and -1."""

    def block(self, documents, first, num_threads=1):
        found = super().block(documents, first, num_threads)
        batch = self.codec.encode_batch(documents, num_threads)
        return found._replace(scans=near(self.codec.decode_batch(batch, num_threads)))


class Projected:
    """A side of Gaussian projections of documents and queries; losses would be of these."""

    def __init__(self, side, dim, seed):
        self.side, self.method = side, side.method
        rng = np.random.default_rng(seed)
        self.projection = rng.standard_normal((dim, PROJECTED_BITS)).astype(np.float32)

    @property
    def encode_us(self):
        """What encoding takes once projected."""
        return self.side.encode_us

    def asked(self, queries):
        """Return the projected queries."""
        return [np.asarray(query, np.float32) @ self.projection for query in queries]

    def block(self, documents, first, num_threads=1):
        """Return the Block of the projected documents."""
        found = self.side.block(documents @ self.projection, first, num_threads)
        return found._replace(losses=None)


def sparse_methods(dim):
    """Return the Methods of sparse vectors: their layouts."""
    return [Method(one, (partial(Codes, SparseCodec(dim, one)),)) for one in LAYOUTS]


def dense_methods(dim):
    """Return the Methods of vectors that need no training."""
    signs, wide = BinaryCodec(dim), BinaryCodec(PROJECTED_BITS)

    def projected(kind):
        return tuple(
            lambda seed=seed: Projected(kind(wide), dim, seed) for seed in range(PROJECTIONS)
        )

    return [
        Method(limits.FLOAT8, (partial(Codes, Float8Codec(dim)),)),
        Method(limits.SIGNS, (partial(Codes, signs),)),
        Method(limits.SIGNS_ASKED, (partial(AskedAsFloat, signs),)),
        Method(limits.PROJECTED, projected(Codes)),
        Method(limits.PROJECTED_ASKED, projected(AskedAsFloat)),
    ]


def trained_methods(
    column, others, *, sizes=None, folds=2, seeds=5, in_domain=False, num_threads=1
):
    """Return the Methods of product quantization, of all sizes unless some are given.

    `others` are rows of other texts; without any, and beside them if `in_domain`, codebooks are
    trained on the other folds alone. Raises InvalidInput where these are too few.
    """
    kinds = {MIXED: others} if others is not None else {}
    kinds |= {IN_DOMAIN: None} if in_domain or others is None else {}
    for rows in kinds.values():
        require_enough(column, rows, folds)

    def runs(rows, size, rotation):
        options = {"folds": folds, "rotation": rotation, "num_threads": num_threads}
        return tuple(
            lambda seed=seed: Folded(train_folds(column, rows, size, seed=seed, **options))
            for seed in range(seeds)
        )

    return [
        Method(name, runs(rows, size, rotation), training, size)
        for training, rows in kinds.items()
        for name, rotation in ((limits.PLAIN_PQ, None), (limits.ROTATED_PQ, "opq"))
        for size in sizes or sizes_of(len(column[0]))
    ]


def compare_methods(
    embedder,
    column,
    methods,
    queries,
    relevant=None,
    *,
    memories=None,
    metric="cosine",
    num_threads=1,
    hear=lambda done, total, what: None,
):
    """Yield a MethodRow for float32 and for each of the methods.

    `queries` are embeddings, `relevant` one `{memory: gain}` for each; `memories` the numbers of
    the rows, ascending, where they are not 0, 1, 2... `hear(done, total, what)` is told of each run
    before it begins.
    """
    memories = np.arange(len(column)) if memories is None else memories
    options = {"metric": metric, "num_threads": num_threads}
    total, done = 1 + sum(len(method.runs) for method in methods), 0
    is_dense = isinstance(column[0], np.ndarray)
    kind = QuantizationMethod.FLOAT8_E4M3 if is_dense else QuantizationMethod.SPARSE_NATIVE
    hear(done, total, FLOAT32)
    exact = rank(Exact(kind), column, queries, **options)
    judged = _judge(memories, exact, exact, relevant)
    yield _row(embedder, Method(FLOAT32, ()), column, None, [(exact, judged)])
    for method in methods:
        found = []
        for make in method.runs:
            done += 1
            hear(done, total, str(method))
            side = make()
            ranked = rank(side, column, queries, **options)
            found.append((ranked, _judge(memories, exact, ranked, relevant)))
        yield _row(embedder, method, column, side.encode_us, found)
    hear(total, total, "done")


def _judge(memories, exact, coded, relevant):
    judge = Judge(memories)
    for number in range(len(exact.tops)):
        tops = (memories[side.tops[number][0]].tolist() for side in (exact, coded))
        judge.see(*tops, relevant and relevant[number])
    return judge


def _row(embedder, method, column, encode_us, runs):
    """Return the MethodRow of one or more (Ranked, Judge) runs."""
    losses = [Loss.of(ranked.losses) for ranked, _ in runs if ranked.losses is not None]
    judges = [judge for _, judge in runs]
    changes = [_mean_change(values) for values in zip(*(one.per_query() for one in judges))]
    overlaps = [one.overlap() for one in judges if one.overlaps]
    row = MethodRow(
        embedder,
        method.name,
        method.training,
        runs[0][0].num_bytes / len(column),
        len(runs),
        encode_us,
        Loss.mean_of(losses) if losses else None,
        float(np.mean(overlaps)) if overlaps else None,
        *changes,
    )
    limit = limits.method_limit(method.name, method.size)
    return replace(row, missed=() if method.training == IN_DOMAIN else limit.missed(row))


def _mean_change(values):
    """Return the Change to the mean of some runs, from their (float32, codes) columns."""
    base, new = np.mean(values, axis=0).T
    return Change.of(base, new) if len(base) else None
