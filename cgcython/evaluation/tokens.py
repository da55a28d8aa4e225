"""What ranking loses when documents keep some of their tokens, at some precision."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    TokenPruningConfig,
    TokenPruningQuantizer,
)
from cgcython.evaluation import limits, metrics
from cgcython.evaluation.comparison import Change, Judge, Judged
from cgcython.similarity import max_sim_batch
from cgcython.token_array import TokenArray
from cgcython.token_array.precisions import PRECISIONS
from cgcython.types import Float32Array

ALL, POOLED, COVERED = "all", "pooled", ImportanceScoringMethod.COVERAGE.value
CODED = ("e4m3", "int8", "int4", "int2", "sign")
BY_LENGTH = ("magnitude", "max_abs")  # what choices depend on the lengths of tokens
HALF = 0.5  # the compression that the limits are for


@dataclass(frozen=True)
class TokenRow:
    """One line: which tokens were kept, how they were coded, and what that cost."""

    tokens: str
    precision: str
    documents: int
    queries: int
    tokens_each: float
    bytes_per_token: float
    overlap10: float | None
    ndcg10: Change | None
    recall10: Change | None
    missed: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return asdict(self)


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
    ]


def compare_tokens(
    documents: TokenArray,
    queries: TokenArray,
    relevant: Sequence[Judged] | None = None,
    *,
    compression: float = HALF,
    attention: Float32Array | None = None,
    norms: Float32Array | None = None,
    num_threads: int = 1,
    advance: Callable[[], object] = lambda: None,
) -> list[TokenRow]:
    """Return a TokenRow for each way to keep and code the tokens of a TokenArray.

    `queries` is a TokenArray; `relevant` one `{document: gain}` for each. `attention` and
    `norms` are one number per token: weights, and lengths that the tokens had before they were
    normalised. `advance` is called after each of the `plan`.
    """

    def rank(tokens: TokenArray) -> list[list[int]]:
        scores = max_sim_batch(queries, tokens, "sum", num_threads=num_threads)
        return [metrics.top(one).tolist() for one in scores]

    exact, kept, rows = rank(documents), {ALL: documents}, []
    for name, precision in plan(attention):
        if name not in kept:
            weights = attention if name == "attention" else None
            lengths = norms if name in BY_LENGTH else None
            tokens = documents if lengths is None else _at(documents, lengths)
            kept[name] = select(tokens, name, compression, weights, num_threads)
        coded = kept[name].quantize(precision, num_threads=num_threads)
        judge = Judge(np.arange(len(documents)))
        for one, other, gains in zip(exact, rank(coded), relevant or [None] * len(queries)):
            judge.see(one, other, gains)
        rows.append(_row(name, coded, judge, compression))
        advance()
    return rows


def select(
    documents: TokenArray,
    name: str,
    compression: float,
    attention: Float32Array | None = None,
    num_threads: int = 1,
) -> TokenArray:
    """Return the tokens that a scoring method keeps of each document, or the pooled ones."""
    method = ImportanceScoringMethod.COVERAGE if name == POOLED else ImportanceScoringMethod(name)
    quantizer = TokenPruningQuantizer(TokenPruningConfig(compression, 1, method))
    weights = None
    if attention is not None:
        spans = zip(documents.starts.tolist(), documents.counts.tolist())
        weights = [attention[start : start + count] for start, count in spans]
    pruned = quantizer.prune_batch(documents, weights, name == POOLED, num_threads)
    return TokenArray.from_list([one.embeddings for one in pruned], documents.dim)


def _at(documents: TokenArray, norms: Float32Array) -> TokenArray:
    """Return the documents' tokens at other lengths."""
    return TokenArray(documents.values * norms[:, None], documents.offsets)


def _row(name: str, coded: TokenArray, judge: Judge, compression: float) -> TokenRow:
    ndcg10, recall10 = judge.changes()
    sizes = coded.values.shape[1] * coded.values.itemsize + (4 if coded.scales is not None else 0)
    row = TokenRow(
        name,
        coded.precision,
        len(coded),
        len(judge.overlaps),
        coded.num_tokens / max(1, len(coded)),
        float(sizes),
        judge.overlap(),
        ndcg10,
        recall10,
    )
    limit = limits.TOKENS.get((name, coded.precision)) if compression == HALF else None
    return replace(row, missed=limit.missed(row)) if limit else row
