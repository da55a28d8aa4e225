"""Every embedder's codes beside float32 on the same queries, alone and fused."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from cgcython.base import EmbedderId, ModelId
from cgcython.evaluation import metrics
from cgcython.evaluation.ranking import Column, Embedding, Ranked, Representation, rank
from cgcython.evaluation.representations import Codes, Exact
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


@dataclass(frozen=True, eq=False)
class Contender:
    """One embedder's documents, and the representation that has their codes.

    `column` is what `ranking.rank` takes; `memories` are the numbers of its rows in the corpus,
    ascending.
    """

    model_id: EmbedderId
    column: Column
    memories: Int64Array
    coded: Codes
    metric: str = "cosine"

    def ranked(
        self,
        queries: Sequence[Embedding],
        k: int = metrics.CUTOFF,
        num_threads: int = 1,
        advance: Progress = lambda rows: None,
    ) -> tuple[Ranked, Ranked]:
        """Return the Ranked documents as float32 and as codes."""

        def ranking(documents: Representation) -> Ranked:
            return rank(
                documents,
                self.column,
                queries,
                k=k,
                metric=self.metric,
                num_threads=num_threads,
                advance=advance,
            )

        return ranking(Exact(self.coded.inputs)), ranking(self.coded)


@dataclass(frozen=True)
class _Ranked:
    """A contender with its rankings by float32 and by codes, and the place of each query."""

    contender: Contender
    places: dict[int, int]
    exact: Ranked
    coded: Ranked

    def rankings(self, number: int) -> Iterator[tuple[Int64Array, Float32Array]]:
        """Yield one query's (memories, scores), best first, by float32 and then by codes."""
        for ranked in (self.exact, self.coded):
            rows, scores = ranked.tops[self.places[number]]
            yield self.contender.memories[rows], scores


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
    k = metrics.CUTOFF if len(contenders) == 1 else FUSED_DEPTH
    relevant = judgements or [None] * len(queries)
    all_ranked = []
    for one in contenders:
        numbers = [i for i, query in enumerate(queries) if one.model_id in query]
        mine = [queries[i][one.model_id] for i in numbers]
        places = {number: place for place, number in enumerate(numbers)}
        all_ranked.append(_Ranked(one, places, *one.ranked(mine, k, num_threads, advance)))
    rows = [_row(one, relevant) for one in all_ranked]
    return rows + ([_fused(all_ranked, relevant)] if len(rows) > 1 else [])


def _row(ranked: _Ranked, relevant: Sequence[Judged]) -> Row:
    one, count = ranked.contender, len(ranked.contender.column)
    judge = Judge(one.memories)
    for number in ranked.places:
        exact, coded = (ids[: metrics.CUTOFF].tolist() for ids, _ in ranked.rankings(number))
        judge.see(exact, coded, relevant[number])
    losses = ranked.coded.losses
    return Row(
        one.model_id.short,
        one.coded.codec.method.value,
        ", ".join(sorted(ranked.coded.layouts)) or None,
        count,
        len(judge.overlaps),
        ranked.coded.num_bytes / count,
        ranked.exact.num_bytes / count,
        one.coded.encode_us,
        None if losses is None else Loss.of(losses),
        judge.overlap(),
        *judge.changes(),
    )


def _fused(all_ranked: Sequence[_Ranked], relevant: Sequence[Judged]) -> Row:
    memories, parts = np.unique(
        np.concatenate([one.contender.memories for one in all_ranked]), return_counts=True
    )
    judge = Judge(memories)
    for number, gains in enumerate(relevant):
        found = [one.rankings(number) for one in all_ranked if number in one.places]
        if found:
            exact, coded = (_fuse(rankings) for rankings in zip(*found))
            judge.see(exact, coded, gains)
    framing = sum(map(_manifest_bytes, parts.tolist()))
    plain = sum(one.exact.num_bytes for one in all_ranked)
    framed = sum(one.coded.framed_bytes for one in all_ranked)
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
