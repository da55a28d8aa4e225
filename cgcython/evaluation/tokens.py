"""What ranking loses when documents keep some of their tokens, at some precision."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from cgcython.codecs.token_layouts import INT2_F16, INT4_F16, size_of
from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    TokenPruningConfig,
    TokenPruningQuantizer,
)
from cgcython.evaluation import limits, metrics
from cgcython.evaluation.comparison import Change, Gain, Judge, Judged, Loss
from cgcython.similarity import max_sim, max_sim_batch
from cgcython.token_array import TokenArray
from cgcython.token_array.precisions import PRECISIONS
from cgcython.types import BoolArray, Float32Array, Float64Array

ALL, POOLED, COVERED = "all", "pooled", ImportanceScoringMethod.COVERAGE.value
QUARTER = "quarter"  # pooled to a quarter of the tokens, as the last step of the ladder keeps them
CODED = ("e4m3", "int8", "int4", "int2", "hadamard_sign")
LAYOUTS = {
    "float32": "compact_f32",
    "e4m3": "compact_e4m3",
    "int4": INT4_F16,
    "int2": INT2_F16,
}  # of records, by precision
BY_LENGTH = ("magnitude", "max_abs")  # what choices depend on the lengths of tokens
HALF = 0.5  # the compression that the limits are for
COMPARED = COVERED, "e4m3"  # the row that others are compared with: records were kept so before


@dataclass(frozen=True)
class TokenRow:
    """One line: which tokens were kept, how they were coded, and what that cost.

    `bytes_each` are those of a text in a record, `loss` is 1 - MaxSim of a text with what was kept
    of it, `gain10` by how much `overlap10` exceeds that of COMPARED.
    """

    tokens: str
    precision: str
    documents: int
    queries: int
    tokens_each: float
    bytes_per_token: float
    bytes_each: float
    loss: Loss
    overlap10: float | None
    ndcg10: Change | None
    recall10: Change | None
    gain10: Gain | None = None
    missed: tuple[str, ...] = ()
    overlaps: Float64Array = field(default_factory=lambda: np.empty(0), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        row = asdict(self)
        del row["overlaps"]
        return row


def plan(attention: Float32Array | None) -> list[tuple[str, str]]:
    """Return the (tokens, precision) pairs that are compared, in order."""
    methods = [one.value for one in ImportanceScoringMethod]
    if attention is None:
        methods.remove(ImportanceScoringMethod.ATTENTION_BASED.value)
    coded = [one for one in CODED if one in PRECISIONS]
    return [
        *((one, "float32") for one in methods),
        (POOLED, "float32"),
        *((tokens, one) for tokens in (ALL, COVERED, POOLED) for one in coded),
        (QUARTER, "int2"),
    ]


def compare_tokens(
    documents: TokenArray,
    queries: TokenArray,
    relevant: Sequence[Judged] | None = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    compression: float = HALF,
    attention: Float32Array | None = None,
    norms: Float32Array | None = None,
    limit: Mapping[tuple[str, str], limits.Limit] = limits.TOKENS,
    num_threads: int = 1,
    advance: Callable[[], object] = lambda: None,
) -> list[TokenRow]:
    """Return a TokenRow for each way to keep and code the tokens of a TokenArray.

    `queries` is a TokenArray; `relevant` one `{document: gain}` for each; `pairs` some of the
    `plan`, all unless said. `attention` and `norms` are one number per token: weights, and lengths
    that the tokens had before they were normalised. `limit` has the Limit of rows where half the
    tokens are kept. `advance` is called after each row.
    """
    exact, kept, rows = _tops(queries, documents, num_threads), {ALL: documents}, []
    for name, precision in plan(attention) if pairs is None else pairs:
        if name not in kept:
            weights = attention if name == "attention" else None
            tokens = _at(documents, norms) if name in BY_LENGTH and norms is not None else documents
            kept[name] = select(tokens, name, compression, weights, num_threads)
        coded = kept[name].quantize(precision, num_threads=num_threads)
        judge, found = Judge(np.arange(len(documents))), _tops(queries, coded, num_threads)
        for one, other, gains in zip(exact, found, relevant or [None] * len(queries)):
            judge.see(one, other, gains)
        rows.append(_row(name, documents, coded, judge))
        advance()
    rows = _with_gains(rows)
    if compression != HALF:
        return rows
    return [_judged(row, limit.get((row.tokens, row.precision))) for row in rows]


def first_tokens(documents: TokenArray, most: int) -> tuple[TokenArray, BoolArray]:
    """Return documents cut to their first `most` tokens, and which tokens of all those are."""
    places = np.arange(documents.num_tokens) - np.repeat(documents.starts, documents.counts)
    is_first = places < most
    offsets = np.concatenate([[0], np.minimum(documents.counts, most).cumsum()])
    return TokenArray(documents.values[is_first], offsets), is_first


def select(
    documents: TokenArray,
    name: str,
    compression: float,
    attention: Float32Array | None = None,
    num_threads: int = 1,
) -> TokenArray:
    """Return the tokens that a scoring method keeps of each document, or the pooled ones."""
    pools = name in (POOLED, QUARTER)
    method = ImportanceScoringMethod.COVERAGE if pools else ImportanceScoringMethod(name)
    removed = 0.75 if name == QUARTER else compression
    quantizer = TokenPruningQuantizer(TokenPruningConfig(removed, 1, method))
    weights = None
    if attention is not None:
        spans = zip(documents.starts.tolist(), documents.counts.tolist())
        weights = [attention[start : start + count] for start, count in spans]
    pruned = quantizer.prune_batch(documents, weights, pools, num_threads)
    return TokenArray.from_list([one.embeddings for one in pruned], documents.dim)


def _tops(queries: TokenArray, documents: TokenArray, num_threads: int) -> list[list[int]]:
    """Return the ten best documents of each query."""
    scores = max_sim_batch(queries, documents, "sum", num_threads=num_threads)
    return [metrics.top(one).tolist() for one in scores]


def _at(documents: TokenArray, norms: Float32Array) -> TokenArray:
    """Return the documents' tokens at other lengths."""
    return TokenArray(documents.values * norms[:, None], documents.offsets)


def _row(name: str, documents: TokenArray, coded: TokenArray, judge: Judge) -> TokenRow:
    ndcg10, recall10 = judge.changes()
    pairs = zip(documents, coded.dequantize())
    losses = [1 - max_sim(one, kept) for one, kept in pairs if len(one)]
    token, text = _sizes(documents, coded)
    return TokenRow(
        name,
        coded.precision,
        len(coded),
        len(judge.overlaps),
        coded.num_tokens / max(1, len(coded)),
        token,
        text,
        Loss.of(np.array(losses or [0.0])),
        judge.overlap(),
        ndcg10,
        recall10,
        overlaps=np.array(judge.overlaps),
    )


def _sizes(documents: TokenArray, coded: TokenArray) -> tuple[float, float]:
    """Return the bytes of a coded token, and of a text: as records hold it, where they can."""
    layout, texts = LAYOUTS.get(coded.precision), max(1, len(coded))
    if layout is None:
        scale = 4 if coded.scales is not None else 0
        token = coded.values.shape[1] * coded.values.itemsize + scale
        return float(token), token * coded.num_tokens / texts
    sizes = size_of(layout, documents.dim, documents.counts, coded.counts)
    return float(size_of(layout, documents.dim, 0, 1)), float(sizes.sum() / texts)


def _with_gains(rows: list[TokenRow]) -> list[TokenRow]:
    """Return rows that are compared with COMPARED, where that is among them."""
    base = next((row for row in rows if (row.tokens, row.precision) == COMPARED), None)
    if base is None or not len(base.overlaps):
        return rows
    over = " ".join(COMPARED)
    return [replace(row, gain10=Gain.of(over, base.overlaps, row.overlaps)) for row in rows]


def _judged(row: TokenRow, limit: limits.Limit | None) -> TokenRow:
    return replace(row, missed=limit.missed(row, row.loss)) if limit else row
