"""A query's tokens, packed once for each kernel that reads them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.arrays import aligned_empty
from cgcython.errors import DimensionMismatch
from cgcython.similarity.sides import query_tokens
from cgcython.token_array import lookup
from cgcython.token_array.integers import hadamard
from cgcython.types import CodebookLike, Float32Array, Int8Array, TokensLike, UInt16Array

LANES = 32  # query tokens side by side in a packed query


@dataclass(frozen=True, eq=False)
class PreparedQuery:
    """Query tokens that are packed when first scored, and once; `PreparedQuery.of(tokens)`.

    Documents of bfloat16 and E4M3 meet a query in bfloat16, those of integers (int8, int4,
    int2, signs) one of 8 bits a value. A `fine` query is float32 for E4M3 and has up to 15 bits for
    integers, at about half the speed.
    """

    tokens: Float32Array
    fine: bool = False

    @classmethod
    def of(cls, tokens: "QueryLike", fine: bool = False) -> "PreparedQuery":
        """Return the query of a token matrix, list of vectors or TokenEmbeddings.

        Raises DimensionMismatch, NonFiniteValue or InvalidInput.
        """
        return tokens if isinstance(tokens, PreparedQuery) else cls(query_tokens(tokens), fine)

    @property
    def count(self) -> int:
        """The number of tokens."""
        return len(self.tokens)

    @property
    def dim(self) -> int:
        """The number of values per token."""
        return int(self.tokens.shape[1])

    @cached_property
    def packed(self) -> Float32Array:
        """The tokens at unit length, as the kernel of float32 documents reads them."""
        packed = aligned_empty((-(-self.count // LANES), self.dim, LANES))
        kernels.maxsim.pack_query(self.tokens, packed)
        return packed

    @cached_property
    def halves(self) -> UInt16Array:
        """The tokens at unit length in bfloat16."""
        packed = aligned_empty((-(-self.count // LANES), (self.dim + 1) // 2, 2 * LANES), np.uint16)
        kernels.maxsim_bf16.pack_query(self.tokens, packed)
        return packed

    @cached_property
    def integers(self) -> Int8Array:
        """The tokens as integers, as the kernel of int8 and sign codes reads them."""
        return self._as_integers(self.tokens)

    @cached_property
    def hadamard_integers(self) -> Int8Array:
        """The tokens after a Hadamard rotation, as integers: as int4, int2, hadamard_sign have."""
        return self._as_integers(hadamard(self.tokens))

    def _as_integers(self, tokens: Float32Array) -> Int8Array:
        lines = kernels.maxsim_integers.lines(self.dim, 2 if self.fine else 1)
        packed = aligned_empty((-(-self.count // LANES), lines, 4 * LANES), np.int8)
        kernels.maxsim_integers.pack_query(tokens, packed)
        return packed

    def tables(self, codebook: CodebookLike) -> Float32Array:
        """Return the dots of the tokens with all centroids, found once for each codebook."""
        known = self._tables
        lookup.require_codebook(codebook)
        if codebook.embedding_dim != self.dim:
            raise DimensionMismatch(expected=codebook.embedding_dim, actual=self.dim)
        if codebook.codebook_id not in known:
            known[codebook.codebook_id] = lookup.dots(codebook, self.packed)
        return known[codebook.codebook_id]

    @cached_property
    def _tables(self) -> dict[int, Float32Array]:
        return {}

    @cached_property
    def screened(self) -> tuple[Float32Array, Int8Array]:
        """The unit tokens as rows, and as integers that a screen of float32 tokens meets."""
        blocks, dim = self.packed.shape[:2]
        rows = aligned_empty((blocks * LANES, dim))
        numbers = aligned_empty((blocks, kernels.maxsim_screen.lines(dim), 4 * LANES), np.int8)
        kernels.maxsim_screen.pack_query(self.packed, rows, numbers)
        return rows, numbers


QueryLike: TypeAlias = TokensLike | PreparedQuery
