"""A query's tokens, packed once for each kernel that reads them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.arrays import aligned_empty, as_tokens
from cgcython.token_array import lookup
from cgcython.token_array.precisions import turn

LANES = 32  # query tokens side by side in a packed query


@dataclass(frozen=True, eq=False)
class PreparedQuery:
    """Query tokens that are packed when first scored, and once; `PreparedQuery.of(tokens)`.

    Documents of bfloat16 and E4M3 meet a query in bfloat16, those of whole numbers (int8, int4,
    int2, sign) one of 8 bits a value. A `fine` query is float32 for E4M3 and has up to 15 bits for
    whole numbers, at about half the speed.
    """

    tokens: np.ndarray
    fine: bool = False

    @classmethod
    def of(cls, tokens, fine=False):
        """Return the query of a token matrix, list of vectors or TokenEmbeddings."""
        return tokens if isinstance(tokens, cls) else cls(as_tokens(tokens), fine)

    @property
    def count(self):
        """The number of tokens."""
        return len(self.tokens)

    @property
    def dim(self):
        """The number of values per token."""
        return self.tokens.shape[1]

    @cached_property
    def packed(self):
        """The tokens at unit length, as the kernel of float32 documents reads them."""
        packed = aligned_empty((-(-self.count // LANES), self.dim, LANES))
        kernels.maxsim.pack_query(self.tokens, packed)
        return packed

    @cached_property
    def halves(self):
        """The tokens at unit length in bfloat16."""
        packed = aligned_empty((-(-self.count // LANES), (self.dim + 1) // 2, 2 * LANES), np.uint16)
        kernels.maxsim_bf16.pack_query(self.tokens, packed)
        return packed

    @cached_property
    def whole_numbers(self):
        """The tokens as whole numbers, as the kernel of small codes reads them."""
        return self._as_whole_numbers(self.tokens)

    @cached_property
    def turned_numbers(self):
        """The tokens as codes of int4 and int2 meet them."""
        return self._as_whole_numbers(turn(self.tokens))

    def _as_whole_numbers(self, tokens):
        lines = kernels.maxsim_integers.lines(self.dim, 2 if self.fine else 1)
        packed = aligned_empty((-(-self.count // LANES), lines, 4 * LANES), np.int8)
        kernels.maxsim_integers.pack_query(tokens, packed)
        return packed

    def tables(self, codebook):
        """Return the dots of the tokens with all centroids, found once for each codebook."""
        known = self._tables
        if codebook.codebook_id not in known:
            known[codebook.codebook_id] = lookup.dots(codebook, self.packed)
        return known[codebook.codebook_id]

    @cached_property
    def _tables(self):
        return {}

    @cached_property
    def screened(self):
        """The unit tokens as rows, and as whole numbers that a screen of float32 tokens meets."""
        blocks, dim = self.packed.shape[:2]
        rows = aligned_empty((blocks * LANES, dim))
        numbers = aligned_empty((blocks, kernels.maxsim_screen.lines(dim), 4 * LANES), np.int8)
        kernels.maxsim_screen.pack_query(self.packed, rows, numbers)
        return rows, numbers
