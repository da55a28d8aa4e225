"""Every embedder's codes beside float32 on the same queries, alone and fused."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cgcython.base import ModelId
from cgcython.evaluation import metrics
from cgcython.evaluation.ranking import Ranked, rank
from cgcython.evaluation.representations import Exact
from cgcython.manifest import Manifest
from cgcython.search.fusion import Ranking, fuse

FUSED = "fused"
FUSED_DEPTH = 1000  # documents of each ranking that are fused; one below adds at most 1/1061


@dataclass(frozen=True)
class Change:
    """A metric's mean as float32 and as codes; the drop is relative, with its 95 % interval."""

    float32: float
    quantized: float
    drop: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, base, new):
        """Return the change of one value per query, or None where float32 found nothing."""
        if not np.any(base):
            return None
        drop = metrics.relative_drop(base, new)
        interval = metrics.drop_interval(base, new)
        return cls(float(np.mean(base)), float(np.mean(new)), drop, interval)


@dataclass(frozen=True)
class Loss:
    """1 - cosine of decoded embeddings, as fractions; for tokens 1 - MaxSim."""

    mean: float
    p99: float
    max: float

    @classmethod
    def of(cls, losses):
        """Return the summary of the losses of single embeddings."""
        return cls(float(losses.mean()), float(np.percentile(losses, 99)), float(losses.max()))

    @classmethod
    def mean_of(cls, losses):
        """Return the mean of the Loss of several runs, and the largest of all."""
        mean, p99, _ = np.mean([(one.mean, one.p99, one.max) for one in losses], axis=0).tolist()
        return cls(mean, p99, max(one.max for one in losses))


@dataclass(frozen=True)
class Row:
    """One line of the comparison: an embedder, or all of them fused."""

    embedder: str
    method: str
    layout: str | None
    memories: int
    queries: int
    bytes_each: float
    float32_bytes_each: float
    encode_us: float | None
    loss: Loss | None
    overlap10: float | None
    ndcg10: Change | None
    recall10: Change | None

    def as_dict(self):
        """Return the row for JSON."""
        return asdict(self)


class Judge:
    """Collects one contender's rankings, query by query, as float32 and as codes."""

    def __init__(self, memories):
        """`memories` are the numbers of those that can be found, ascending."""
        self._memories = memories
        self.overlaps, self._ndcg, self._recall = [], [], []

    def see(self, exact, coded, relevant):
        """Note the rankings of memories that one query got; relevant ones elsewhere are ignored."""
        self.overlaps.append(metrics.overlap(exact, coded))
        relevant = {one: gain for one, gain in (relevant or {}).items() if self._has(one)}
        if relevant:
            self._ndcg.append([metrics.ndcg(one, relevant) for one in (exact, coded)])
            self._recall.append([metrics.recall(one, relevant) for one in (exact, coded)])

    def _has(self, memory):
        place = np.searchsorted(self._memories, memory)
        return place < len(self._memories) and self._memories[place] == memory

    def overlap(self):
        """Return the mean part of float32's top 10 that the codes found; None without queries."""
        return float(np.mean(self.overlaps)) if self.overlaps else None

    def per_query(self):
        """Return (float32, codes) values [queries, 2] of nDCG@10 and Recall@10."""
        return np.reshape(self._ndcg, (-1, 2)), np.reshape(self._recall, (-1, 2))

    def changes(self):
        """Return nDCG@10 and Recall@10 over the judged queries; None without any."""
        if not self._ndcg:
            return None, None
        return tuple(Change.of(*one.T) for one in self.per_query())


@dataclass(frozen=True, eq=False)
class Contender:
    """One embedder's documents and the side that has their codes.

    `column` is what `ranking.rank` takes; `memories` are the numbers of its rows in the corpus,
    ascending.
    """

    model_id: ModelId
    column: Any
    memories: np.ndarray
    side: Any
    metric: str = "cosine"

    def ranked(self, queries, k=metrics.CUTOFF, num_threads=1, advance=lambda rows: None):
        """Return the Ranked documents as float32 and as codes."""
        options = {"k": k, "metric": self.metric, "num_threads": num_threads, "advance": advance}
        sides = Exact(self.side.method), self.side
        return tuple(rank(side, self.column, queries, **options) for side in sides)


@dataclass(frozen=True)
class _Met:
    """A contender with its rankings, of float32 and of codes, and the place of each query."""

    contender: Contender
    asked: dict
    sides: tuple[Ranked, Ranked]

    def rankings(self, number):
        """Return one query's (memories, scores) of both sides, best first."""
        tops = (side.tops[self.asked[number]] for side in self.sides)
        return [(self.contender.memories[rows], scores) for rows, scores in tops]


def compare(contenders, queries, judgements=None, num_threads=1, advance=lambda rows: None):
    """Return a Row for each contender and, with several, one for their reciprocal rank fusion.

    `queries` are mappings `ModelId -> embedding`; `judgements` one `{memory: gain}` for each.
    `advance(rows)` hears of documents that were scored, twice of each. Fusion takes the best
    1,000 of each ranking.
    """
    k = metrics.CUTOFF if len(contenders) == 1 else FUSED_DEPTH
    relevant = judgements or [None] * len(queries)
    met = []
    for one in contenders:
        asked = [i for i, query in enumerate(queries) if one.model_id in query]
        mine = [queries[i][one.model_id] for i in asked]
        places = {number: place for place, number in enumerate(asked)}
        met.append(_Met(one, places, one.ranked(mine, k, num_threads, advance)))
    rows = [_row(one, relevant) for one in met]
    return rows + ([_fused(met, relevant)] if len(rows) > 1 else [])


def _row(met, relevant):
    one, count = met.contender, len(met.contender.column)
    judge = Judge(one.memories)
    for number in met.asked:
        tops = [ids[: metrics.CUTOFF].tolist() for ids, _ in met.rankings(number)]
        judge.see(*tops, relevant[number])
    exact, coded = met.sides
    return Row(
        one.model_id.short,
        one.side.method.value,
        ", ".join(sorted(coded.layouts)) or None,
        count,
        len(judge.overlaps),
        coded.num_bytes / count,
        exact.num_bytes / count,
        one.side.encode_us,
        Loss.of(coded.losses),
        judge.overlap(),
        *judge.changes(),
    )


def _fused(met, relevant):
    memories, parts = np.unique(
        np.concatenate([one.contender.memories for one in met]), return_counts=True
    )
    judge = Judge(memories)
    for number, gains in enumerate(relevant):
        found = [one.rankings(number) for one in met if number in one.asked]
        if found:
            judge.see(*(_fuse(side) for side in zip(*found)), gains)
    framing = sum(map(_manifest_bytes, parts.tolist()))
    plain = sum(one.sides[0].num_bytes for one in met)
    framed = sum(one.sides[1].framed_bytes for one in met)
    return Row(
        FUSED,
        "rrf",
        None,
        len(memories),
        len(judge.overlaps),
        (framed + framing) / len(memories),
        plain / len(memories),
        None,
        None,
        judge.overlap(),
        *judge.changes(),
    )


def _manifest_bytes(parts):
    return len(Manifest(dict.fromkeys(list(ModelId)[:parts], 0)).to_bytes())


def _fuse(rankings):
    orders = [np.argsort(memories) for memories, _ in rankings]
    ascending = [Ranking(ids[at], scores[at]) for (ids, scores), at in zip(rankings, orders)]
    return [int(key) for key in fuse(ascending, metrics.CUTOFF)]
