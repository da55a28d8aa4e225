"""What codes may lose on the real embeddings that the specification names, in one place."""

from dataclasses import dataclass
from math import inf
from typing import Protocol


class Spread(Protocol):
    """The losses of many embeddings, as fractions."""

    @property
    def mean(self) -> float: ...
    @property
    def max(self) -> float: ...


class Drop(Protocol):
    """By which part a metric fell."""

    @property
    def drop(self) -> float: ...


class Excess(Protocol):
    """By how much the part of the top 10 that is found exceeds that of another method."""

    @property
    def over(self) -> str: ...
    @property
    def gain(self) -> float: ...
    @property
    def interval(self) -> tuple[float, float]: ...


class Row(Protocol):
    """What a comparison found; None where it could not be measured."""

    @property
    def overlap10(self) -> float | None: ...
    @property
    def ndcg10(self) -> Drop | None: ...
    @property
    def recall10(self) -> Drop | None: ...


@dataclass(frozen=True)
class Limit:
    """The most that may be lost, as fractions, and the least part of the top 10 that is found.

    `gain10` is the least by which that part exceeds the one of rotated PQ of no more bytes; its
    interval must lie above 0, too.
    """

    loss: float = inf
    max_loss: float = inf
    ndcg10: float = inf
    recall10: float = inf
    overlap10: float = 0.0
    gain10: float | None = None

    def missed(
        self, row: Row, loss: Spread | None = None, gain: Excess | None = None
    ) -> tuple[str, ...]:
        """Return a sentence for each part of the limit that a row, or its loss, goes beyond."""
        ndcg10, recall10 = row.ndcg10, row.recall10
        figures = [
            ("mean loss", None if loss is None else loss.mean, self.loss),
            ("largest loss", None if loss is None else loss.max, self.max_loss),
            ("nDCG@10 drop", None if ndcg10 is None else ndcg10.drop, self.ndcg10),
            ("Recall@10 drop", None if recall10 is None else recall10.drop, self.recall10),
        ]
        found = [
            f"{name} {100 * figure:.3g} % > {100 * most:.3g} %"
            for name, figure, most in figures
            if figure is not None and figure > most
        ]
        if row.overlap10 is not None and row.overlap10 < self.overlap10:
            found.append(f"top10 {row.overlap10:.3f} < {self.overlap10}")
        if gain is not None and self.gain10 is not None and not _exceeds(gain, self.gain10):
            low, high = gain.interval
            told = f"top10 {gain.gain:+.3f} ({low:+.3f}..{high:+.3f}) over {gain.over}"
            found.append(f"{told} < {self.gain10:+}")
        return tuple(found)


def _exceeds(gain: Excess, least: float) -> bool:
    return gain.gain >= least and gain.interval[0] > 0


FLOAT8 = "float8"
SIGNS, SIGNS_ASKED = "sign bits", "sign bits, float query"
PROJECTED, PROJECTED_ASKED = "projected bits", "projected bits, float query"
PLAIN_PQ, ROTATED_PQ, ROTATED_PQ_L2 = "plain PQ", "rotated PQ", "rotated PQ, l2"
RQ8 = "rq8"
SCALARS = {bits: f"scalar, {bits} bits" for bits in (8, 6, 4, 2)}
CENTRED, CENTRED_ASKED = "centred bits", "centred bits, float query"
CENTRED_FACTOR = "centred bits and factor"

# By method and, where codes come in several sizes, bytes. PQ is that of `folds.py`: other texts
# and three times the other half of the corpus, the mean of seeds 0 to 4.
METHODS: dict[tuple[str, int | None], Limit] = {
    (FLOAT8, None): Limit(loss=0.0004, max_loss=0.0006, overlap10=0.985),
    (SCALARS[8], None): Limit(loss=0.0001, max_loss=0.0002, overlap10=0.99),
    (SCALARS[6], None): Limit(loss=0.001, max_loss=0.002, overlap10=0.98),
    (SCALARS[4], None): Limit(loss=0.008, max_loss=0.02, overlap10=0.935),
    (SCALARS[2], None): Limit(loss=0.07, max_loss=0.12, overlap10=0.83),
    (PROJECTED, None): Limit(recall10=0.08),
    (PROJECTED_ASKED, None): Limit(recall10=0.055),
    (ROTATED_PQ, 8): Limit(loss=0.223, overlap10=0.50),
    (ROTATED_PQ, 32): Limit(loss=0.091, overlap10=0.78),
    (ROTATED_PQ, 64): Limit(loss=0.036, overlap10=0.87),
    (ROTATED_PQ, 192): Limit(overlap10=0.96),
    (RQ8, 8): Limit(gain10=0.06),
    ("canonical", None): Limit(loss=1e-12, ndcg10=0.0, recall10=0.0),
    ("compact_f32", None): Limit(loss=1e-12, ndcg10=0.0, recall10=0.0),
    ("compact_f16", None): Limit(ndcg10=0.001, recall10=0.001),
    # Any noise of the size of half a step moves Recall@10 of 225 queries by up to 0.8 %.
    ("compact_u8", None): Limit(loss=1e-5, ndcg10=0.002, overlap10=0.99),
}

# By which tokens are kept, half of them unless all are, and their precision.
TOKENS = {
    ("all", "int4"): Limit(loss=0.01, overlap10=0.96),
    ("all", "int2"): Limit(overlap10=0.92),
    ("pooled", "int4"): Limit(overlap10=0.94),
    ("coverage", "float32"): Limit(ndcg10=0.009, recall10=0.007, overlap10=0.92),
    ("coverage", "e4m3"): Limit(ndcg10=0.005),
    ("coverage", "int2"): Limit(ndcg10=0.012),
    ("pooled", "e4m3"): Limit(ndcg10=0.005),
    ("pooled", "int2"): Limit(ndcg10=0.012),
}

# The same of texts that are cut to their first tokens, by how many.
FIRST_TOKENS = {32: {("all", "int4"): Limit(loss=0.01, overlap10=0.96)}}


def method_limit(method: str, num_bytes: int | None) -> Limit:
    """Return the Limit of a method's codes, one that holds always where there is none."""
    return METHODS.get((method, None)) or METHODS.get((method, num_bytes)) or Limit()
