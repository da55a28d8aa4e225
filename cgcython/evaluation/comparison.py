"""Every embedder's codes beside float32 on the same queries, alone and fused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from cgcython.base import EmbedderId, ModelId
from cgcython.evaluation import metrics
from cgcython.evaluation.contenders import Contender, Rankings
from cgcython.evaluation.ranking import Embedding
from cgcython.manifest import Manifest
from cgcython.search.fusion import Ranking, fuse
from cgcython.types import Array, Float32Array, Float64Array, Int64Array, Progress

Judged: TypeAlias = Mapping[int, int] | None  # the gain of each relevant memory, if they are known

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
    def of(cls, base: Array, new: Array) -> Self | None:
        """Return the change of one value per query, or None where float32 found nothing."""
        if not np.any(base):
            return None
        drop = metrics.relative_drop(base, new)
        interval = metrics.drop_interval(base, new)
        return cls(float(np.mean(base)), float(np.mean(new)), drop, interval)


@dataclass(frozen=True)
class Gain:
    """By how much a mean over queries exceeds that of another method, with its 95 % interval."""

    over: str
    gain: float
    interval: tuple[float, float]

    @classmethod
    def of(cls, over: str, base: Array, new: Array) -> Self:
        """Return the gain of one value per query over those of the method `over`."""
        return cls(over, float(np.mean(new - base)), metrics.gain_interval(base, new))


@dataclass(frozen=True)
class Loss:
    """1 - cosine of decoded embeddings, as fractions; for tokens 1 - MaxSim."""

    mean: float
    p99: float
    max: float

    @classmethod
    def of(cls, losses: Array) -> Self:
        """Return the summary of the losses of single embeddings."""
        return cls(float(losses.mean()), float(np.percentile(losses, 99)), float(losses.max()))

    @classmethod
    def mean_of(cls, losses: "Sequence[Loss]") -> Self:
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

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


class Judge:
    """Collects one contender's rankings, query by query, as float32 and as codes."""

    def __init__(self, memories: Int64Array) -> None:
        """`memories` are the numbers of those that can be found, ascending."""
        self._memories = memories
        self.overlaps: list[float] = []
        self._ndcg: list[list[float]] = []
        self._recall: list[list[float]] = []

    def see(self, exact: Sequence[int], coded: Sequence[int], relevant: Judged) -> None:
        """Note the rankings of memories that one query got; relevant ones elsewhere are ignored."""
        self.overlaps.append(metrics.overlap(exact, coded))
        known = {one: gain for one, gain in (relevant or {}).items() if self._has(one)}
        if known:
            self._ndcg.append([metrics.ndcg(one, known) for one in (exact, coded)])
            self._recall.append([metrics.recall(one, known) for one in (exact, coded)])

    def _has(self, memory: int) -> bool:
        place = int(np.searchsorted(self._memories, memory))
        return place < len(self._memories) and int(self._memories[place]) == memory

    def overlap(self) -> float | None:
        """Return the mean part of float32's top 10 that the codes found; None without queries."""
        return float(np.mean(self.overlaps)) if self.overlaps else None

    def per_query(self) -> tuple[Float64Array, Float64Array]:
        """Return (float32, codes) values [queries, 2] of nDCG@10 and Recall@10."""
        return np.reshape(self._ndcg, (-1, 2)), np.reshape(self._recall, (-1, 2))

    def changes(self) -> tuple[Change | None, Change | None]:
        """Return nDCG@10 and Recall@10 over the judged queries; None without any."""
        if not self._ndcg:
            return None, None
        ndcg, recall = self.per_query()
        return Change.of(*ndcg.T), Change.of(*recall.T)


def compare(
    contenders: Sequence[Contender],
    queries: Sequence[Mapping[EmbedderId, Embedding]],
    judgements: Sequence[Judged] | None = None,
    num_threads: int = 1,
    advance: Progress = lambda rows: None,
) -> list[Row]:
    """Return a Row for each contender and, with several, one for their reciprocal rank fusion.

    `queries` are mappings `ModelId -> embedding`; `judgements` one `{memory: gain}` for each.
    `advance(rows)` hears of documents that were scored, twice of each. Fusion takes the best
    1,000 of each ranking.
    """
    k = depth_of(len(contenders))
    found = []
    for one in contenders:
        numbers = [i for i, query in enumerate(queries) if one.model_id in query]
        mine = [queries[i][one.model_id] for i in numbers]
        found.append(one.rankings(numbers, mine, k, num_threads, advance))
    return rows_of(found, judgements or [None] * len(queries))


def depth_of(contenders: int) -> int:
    """Return how many documents of each query's ranking a comparison looks at."""
    return metrics.CUTOFF if contenders == 1 else FUSED_DEPTH


def rows_of(found: Sequence[Rankings], relevant: Sequence[Judged]) -> list[Row]:
    """Return a Row for each contender's Rankings and, with several, one for their fusion.

    `relevant` has one `{memory: gain}`, or None, for each query.
    """
    rows = [_row(one, relevant) for one in found]
    return rows + ([_fused(found, relevant)] if len(rows) > 1 else [])


def _row(one: Rankings, relevant: Sequence[Judged]) -> Row:
    judge, count = Judge(one.memories), len(one.memories)
    for number in one.queries:
        exact, coded = (ids[: metrics.CUTOFF].tolist() for ids, _ in one.of_query(number))
        judge.see(exact, coded, relevant[number])
    losses = one.coded.losses
    return Row(
        one.model_id.short,
        one.method,
        ", ".join(sorted(one.coded.layouts)) or None,
        count,
        len(judge.overlaps),
        one.coded.num_bytes / count,
        one.exact.num_bytes / count,
        one.encode_us,
        None if losses is None else Loss.of(losses),
        judge.overlap(),
        *judge.changes(),
    )


def _fused(every: Sequence[Rankings], relevant: Sequence[Judged]) -> Row:
    memories, parts = np.unique(np.concatenate([one.memories for one in every]), return_counts=True)
    judge = Judge(memories)
    for number, gains in enumerate(relevant):
        found = [one.of_query(number) for one in every if number in one.queries]
        if found:
            exact, coded = (_fuse(rankings) for rankings in zip(*found))
            judge.see(exact, coded, gains)
    framing = sum(map(_manifest_bytes, parts.tolist()))
    plain = sum(one.exact.num_bytes for one in every)
    framed = sum(one.coded.framed_bytes for one in every)
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


def _manifest_bytes(parts: int) -> int:
    return len(Manifest(dict.fromkeys(list(ModelId)[:parts], 0)).to_bytes())


def _fuse(rankings: Iterable[tuple[Int64Array, Float32Array]]) -> list[int]:
    ascending = []
    for memories, scores in rankings:
        order = np.argsort(memories)
        ascending.append(Ranking(memories[order], scores[order]))
    return [int(key) for key in fuse(ascending, metrics.CUTOFF)]
