"""The tokens of many documents in one array, each document a run of rows."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, as_tokens, require_finite
from cgcython.errors import DimensionMismatch, InvalidInput


@dataclass(frozen=True, eq=False)
class TokenArray:
    """Token values [total, dim] and offsets [documents + 1], as Arrow lays out lists.

    Values are float32, or uint8: E4M3 codes, whose scales do not matter to a cosine. Raises
    NonFiniteValue, DimensionMismatch or InvalidInput.

    >>> tokens = TokenArray.from_list([[[1, 0], [0, 1]], [[1, 1]]])
    >>> len(tokens), tokens.dim, tokens.counts.tolist(), tokens[1].tolist()
    (2, 2, [2, 1], [[1.0, 1.0]])
    """

    values: np.ndarray
    offsets: np.ndarray

    def __post_init__(self):
        values = self.values
        if not (isinstance(values, np.ndarray) and values.dtype == np.uint8):
            values = as_float32(values)
            require_finite(values)
        if values.ndim != 2:
            raise DimensionMismatch(expected=2, actual=values.ndim, what="dimensions of the array")
        offsets = np.asarray(self.offsets)
        if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype.kind not in "ui":
            raise InvalidInput(what="offsets", expected="documents + 1 numbers", actual=offsets)
        offsets = np.ascontiguousarray(offsets, np.int64)
        if offsets[0] < 0 or offsets[-1] > len(values) or np.any(np.diff(offsets) < 0):
            raise InvalidInput(
                what="offsets", expected=f"0 to {len(values)}, ascending", actual=offsets
            )
        object.__setattr__(self, "values", np.ascontiguousarray(values))
        object.__setattr__(self, "offsets", offsets)

    @classmethod
    def from_list(cls, documents, dim=None):
        """Return the tokens of a list of matrices, nested lists or TokenEmbeddings."""
        matrices = [as_tokens(document, dim) for document in documents]
        counts = [len(matrix) for matrix in matrices]
        matrices = [matrix for matrix in matrices if len(matrix)]
        dim = matrices[0].shape[1] if matrices else dim or 0
        for matrix in matrices:
            if matrix.shape[1] != dim:
                actual = matrix.shape[1]
                raise DimensionMismatch(expected=dim, actual=actual, what="values per token")
        values = np.concatenate(matrices) if matrices else np.empty((0, dim), np.float32)
        return cls(values, np.cumsum([0, *counts]))

    @classmethod
    def from_padded(cls, values, lengths):
        """Return the tokens of an array [documents, longest, dim], without its padding.

        >>> TokenArray.from_padded([[[1.0], [2.0]], [[3.0], [0.0]]], lengths=[2, 1]).values.tolist()
        [[1.0], [2.0], [3.0]]
        """
        values, lengths = as_float32(values), np.asarray(lengths)
        if values.ndim != 3:
            raise DimensionMismatch(expected=3, actual=values.ndim, what="dimensions of the array")
        if lengths.shape != values.shape[:1]:
            raise DimensionMismatch(expected=len(values), actual=lengths.size, what="lengths")
        if lengths.dtype.kind not in "ui" or np.any((lengths < 0) | (lengths > values.shape[1])):
            raise InvalidInput(
                what="lengths", expected=f"0 to {values.shape[1]} tokens", actual=lengths
            )
        kept = np.arange(values.shape[1]) < lengths[:, None]
        return cls(values[kept], np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def __len__(self):
        return len(self.offsets) - 1

    def __getitem__(self, index):
        """Return one document's rows, or for a slice of documents a TokenArray; no copies."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise InvalidInput(what="step", expected="1", actual=step)
            part = object.__new__(TokenArray)
            part.__dict__.update(self.__dict__)  # checked values, and their norms once known
            part.__dict__["offsets"] = self.offsets[start : max(start, stop) + 1]
            return part
        index = range(len(self))[index]
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self):
        return (self.values[start:stop] for start, stop in pairwise(self.offsets))

    @property
    def dim(self):
        """The number of values per token."""
        return self.values.shape[1]

    def require_values(self):
        """Raise InvalidInput where these are codes: they are scored, never taken for values."""
        if self.values.dtype == np.uint8:
            raise InvalidInput(what="tokens", expected="float32 values", actual="E4M3 codes")

    @property
    def starts(self):
        """The first row of each document."""
        return self.offsets[:-1]

    @property
    def counts(self):
        """The number of tokens of each document."""
        return np.diff(self.offsets)

    @cached_property
    def inverse_norms(self):
        """What MaxSim multiplies each token's products with; found once."""
        norms = np.empty(len(self.values), np.float32)
        kernels.maxsim.inverse_norms(self.values, norms)
        return norms
