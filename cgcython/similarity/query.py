"""A query's tokens, packed once for each kernel that reads them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens

LANES = 32  # query tokens side by side in a packed query


@dataclass(frozen=True, eq=False)
class PreparedQuery:
    """Query tokens that are packed when first scored, and once; `PreparedQuery.of(tokens)`."""

    tokens: np.ndarray

    @classmethod
    def of(cls, tokens):
        """Return the query of a token matrix, list of vectors or TokenEmbeddings."""
        return tokens if isinstance(tokens, cls) else cls(as_tokens(tokens))

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
        """The tokens at unit length, as the kernels of float32 and E4M3 documents read them."""
        packed = np.empty((-(-self.count // LANES), self.dim, LANES), np.float32)
        kernels.maxsim.pack_query(self.tokens, packed)
        return packed
