"""What scans of documents of tokens share: where each document lies, and which may be the best."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from cgcython.arrays import as_tokens, gathered
from cgcython.checks import require_choice
from cgcython.codecs.token_pooling import pool_tokens
from cgcython.codecs.token_selection import count_kept
from cgcython.codecs.token_steps import POOLED
from cgcython.search.scan import (
    METRICS,
    ROWS,
    Best,
    Embedding,
    FindCodebook,
    Scan,
)
from cgcython.search.token_passes import Pass, contenders
from cgcython.similarity import PreparedQuery
from cgcython.tensors import ArrayForm, Malformed
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Float64Array, Int64Array

TOKENS = "tokens"
SPANS = {"starts": ArrayForm("I64", (ROWS,)), "counts": ArrayForm("I64", (ROWS,))}
SELECTIVE = 8  # where more than one document in so many is asked for, all are scored at once


class DocumentScan(Scan):
    """Documents of tokens; the score is MaxSim, whatever the metric.

    `values` are the tokens of all, `starts` i64 [rows] where those of a document begin, and
    `counts` i64 [rows] how many they are.
    """

    def __init__(self, values: Array, starts: Int64Array, counts: Int64Array, dim: int) -> None:
        self.values, self.starts, self.counts, self.dim = values, starts, counts, dim

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def shared(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    @abstractmethod
    def tokens(self) -> TokenArray:
        """The documents as a TokenArray that shares their codes."""

    def _tokens(self, values: Array, precision: str, starts: Int64Array) -> TokenArray:
        """Return the TokenArray of values [total, items], in which documents begin at `starts`."""
        every = TokenArray(values, [0, len(values)], precision, dim=self.dim, finite=False)
        return every._view(starts, self.counts)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, Array], shared: tuple[Any, ...], find_codebook: FindCodebook
    ) -> Self:
        arguments: list[Any] = [*(arrays[name] for name in cls.kept), *shared]
        scan = cls(*arguments)
        scan._require_sound()
        return scan

    def _require_sound(self) -> None:
        """Raise Malformed unless each document's tokens lie among those of all."""
        starts, counts, total = self.starts, self.counts, len(self.values)
        outside = (starts < 0) | (starts > total) | (counts < 0)
        if np.any(outside | (counts > (total - starts) // self._unit)):
            raise Malformed("its documents are not those of its tokens")

    def similarities(self, query: Embedding, stored: Embedding) -> Float32Array:
        """Return the MaxSim of every row with the query as a record of its form would hold it.

        `stored` has the tokens that are kept of a query, maybe in finer codes. Where all are, a row
        of half or a quarter as many may be the query, pooled by the ladder.
        """
        tokens, kept = as_tokens(query, self.dim), as_tokens(stored, self.dim)
        if len(kept) < len(tokens):
            dropped = super().similarities(query, self._coded(_nearest(tokens, kept)))
            return np.maximum(dropped, super().similarities(query, self._coded(kept)))
        scores = super().similarities(query, self._coded(tokens))
        for part in POOLED:
            count = count_kept(len(tokens), part)
            rows = (self.counts == count).nonzero()[0]
            if count < len(tokens) and len(rows):
                pooled = self._coded(pool_tokens(tokens, count)[0])
                alike = Scan.similarities(self.take(rows), query, pooled)
                scores[rows] = np.maximum(scores[rows], alike)
        return scores

    def _coded(self, tokens: Float32Array) -> Float32Array:
        """Return tokens as these rows would hold them."""
        return tokens

    @property
    def _unit(self) -> int:
        """How many entries of `values` a token has."""
        return self.dim if self.values.ndim == 1 else 1

    def with_arrays(self, **arrays: Array) -> Self:
        """Return this scan with some of its kept arrays replaced."""
        arguments: list[Any] = [*{**self._attributes(), **arrays}.values(), *self.shared]
        return type(self)(*arguments)

    def arrays(self) -> dict[str, Array]:
        return self.packed()._attributes()

    def packed(self) -> Self:
        """Return the scan without the tokens of documents that are not among its rows."""
        sizes = self.counts * self._unit
        if sizes.sum() == len(self.values):
            return self
        packed = {
            name: gathered(column, self.starts, self.starts + sizes)
            for name, column in self._attributes().items()
            if name not in ("starts", "counts")
        }
        return self.with_arrays(**packed, starts=np.cumsum(sizes) - sizes)

    def take(self, rows: Int64Array) -> Self:
        return self.with_arrays(starts=self.starts[rows], counts=self.counts[rows])

    @classmethod
    def joined(cls, scans: Sequence[Self]) -> Self:
        shifts = np.cumsum([0, *(len(scan.values) for scan in scans)])
        starts = [scan.starts + shift for scan, shift in zip(scans, shifts)]
        every = [scan._attributes() | {"starts": one} for scan, one in zip(scans, starts)]
        arrays = {name: np.concatenate([one[name] for one in every]) for name in every[0]}
        return scans[0].with_arrays(**arrays)

    def appended(self, lengths: Mapping[str, int]) -> dict[str, Array]:
        packed = self.arrays()
        return {**packed, "starts": packed["starts"] + lengths.get("values", 0)}

    def of_appended(self, arrays: Mapping[str, Array]) -> Self:
        return self.with_arrays(**arrays)

    def best(self, query: Embedding, k: int, metric: str = "cosine", num_threads: int = 1) -> Best:
        require_choice(metric, "metric", METRICS)
        return self.best_of(np.arange(len(self)), query, k, num_threads)

    def best_of(self, rows: Int64Array, query: Embedding, k: int, num_threads: int = 1) -> Best:
        prepared, read = self._prepare(query, "cosine"), len(rows)
        if prepared.count and k * SELECTIVE <= read:
            rows = contenders(
                self._passes(prepared), rows, self.starts, self.counts, k, num_threads
            )
        best = super().best_of(rows, query, k, num_threads)
        return best._replace(read=read)

    def _passes(self, query: PreparedQuery) -> list[Pass]:
        """Return cheaper ways to score documents, the cheapest first."""
        return []

    def _prepare(self, query: Embedding, metric: str) -> PreparedQuery:
        return PreparedQuery.of(as_tokens(query, self.dim))

    def _score(self, query: PreparedQuery, metric: str, rows: slice, out: Float32Array) -> None:
        self._sum(query, self.starts[rows], self.counts[rows], out)
        np.clip(out / np.float32(max(query.count, 1)), 0, 1, out=out)

    @abstractmethod
    def _sum(
        self, query: PreparedQuery, starts: Int64Array, counts: Int64Array, sums: Float32Array
    ) -> None:
        """Write the sum of the query tokens' best cosines with each document to `sums`."""


def _nearest(tokens: Float32Array, kept: Float32Array) -> Float32Array:
    """Return the token that each kept one is the code of, if none is pooled."""
    nearest: Float32Array = tokens[np.argmax(_unit(kept) @ _unit(tokens).T, axis=1)]
    return nearest


def _unit(tokens: Float32Array) -> Float64Array:
    values = tokens.astype(np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(lengths > 0, lengths, 1)
