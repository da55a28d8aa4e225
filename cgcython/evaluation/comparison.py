"""Every embedder's codes beside float32 on the same queries, alone and fused."""

from dataclasses import asdict, dataclass

import numpy as np

from cgcython.evaluation import metrics
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search.fusion import Ranking, fuse

FUSED = "fused"


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
        self._memories = memories
        self.overlaps, self._ndcg, self._recall = [], [], []

    def see(self, exact, coded, relevant):
        """Note the rankings of memories that one query got; relevant ones elsewhere are ignored."""
        self.overlaps.append(metrics.overlap(exact, coded))
        relevant = {one: gain for one, gain in (relevant or {}).items() if one in self._memories}
        if relevant:
            self._ndcg.append([metrics.ndcg(one, relevant) for one in (exact, coded)])
            self._recall.append([metrics.recall(one, relevant) for one in (exact, coded)])

    def overlap(self):
        """Return the mean part of float32's top 10 that the codes found; None without queries."""
        return float(np.mean(self.overlaps)) if self.overlaps else None

    def changes(self):
        """Return nDCG@10 and Recall@10 over the judged queries; None without any."""
        if not self._ndcg:
            return None, None
        return tuple(Change.of(*np.array(one).T) for one in (self._ndcg, self._recall))


def compare(contenders, queries, judgements=None, num_threads=1, advance=lambda: None):
    """Return a Row for each contender and, with several, one for their reciprocal rank fusion.

    `queries` are mappings `ModelId -> embedding`; `judgements` one `{memory: gain}` for each.
    """
    judges = {one.model_id: Judge(set(one.memories.tolist())) for one in contenders}
    everything = set().union(*(one.memories.tolist() for one in contenders))
    together = Judge(everything)
    for query, relevant in zip(queries, judgements or [None] * len(queries)):
        sides = ([], [])
        for one in contenders:
            if one.model_id in query:
                scores = one.scores(query[one.model_id], num_threads)
                for side, values in zip(sides, scores):
                    side.append(Ranking(one.memories, values))
                tops = [one.memories[metrics.top(values)].tolist() for values in scores]
                judges[one.model_id].see(*tops, relevant)
        if sides[0]:
            tops = [[int(key) for key, _ in fuse(side, metrics.CUTOFF)] for side in sides]
            together.see(*tops, relevant)
        advance()
    rows = [_row(one, judges[one.model_id]) for one in contenders]
    return rows + ([_fused(contenders, together, len(everything))] if len(rows) > 1 else [])


def _row(one, judge):
    count = len(one.records)
    return Row(
        one.model_id.short,
        one.codec.method.value,
        one.layout,
        count,
        len(judge.overlaps),
        one.stored_bytes / count,
        one.float32_bytes / count,
        one.encode_us,
        Loss.of(one.losses),
        judge.overlap(),
        *judge.changes(),
    )


def _fused(contenders, judge, count):
    plain = sum(one.float32_bytes for one in contenders) / count
    sizes = float(np.mean(record_bytes(contenders))), plain
    return Row(
        FUSED,
        "rrf",
        None,
        count,
        len(judge.overlaps),
        *sizes,
        None,
        None,
        judge.overlap(),
        *judge.changes(),
    )


def record_bytes(contenders):
    """Return the bytes of each memory's whole record, framing included."""
    parts = {}
    for one in contenders:
        for memory, record in zip(one.memories.tolist(), one.records):
            parts.setdefault(memory, {})[one.model_id] = record
    return [QuantizedFingerprint(one).size_bytes for one in parts.values()]
