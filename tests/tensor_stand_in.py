"""A stand-in for torch's CPU tensor, so that tests need no torch.

It offers what cgcython asks of a tensor, and refuses what a tensor refuses: numpy gets no values
from one that needs a gradient, nor from one of bfloat16.
"""

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class Tensor:
    """Values, and whether they need a gradient."""

    def __init__(self, values, requires_grad=False):
        self.values, self.requires_grad = np.asarray(values), requires_grad

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return Tensor(self.values[index], self.requires_grad)

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.values.dtype == BFLOAT16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.array(self.values, dtype, copy=copy)

    def detach(self):
        return Tensor(self.values)

    def is_floating_point(self):
        return self.values.dtype.kind == "f" or self.values.dtype == BFLOAT16

    def float(self):
        return Tensor(self.values.astype(np.float32, copy=False), self.requires_grad)


def needing_gradient(values):
    """Return values as a tensor that needs a gradient."""
    return Tensor(values, requires_grad=True)


class SparseTensor:
    """What torch's sparse tensors offer of a scipy matrix, in a layout `coo`, `csr` or another."""

    def __init__(self, matrix, layout, is_coalesced=False):
        self.matrix, self.shape, self.is_coalesced = matrix, matrix.shape, is_coalesced
        self.layout = f"torch.sparse_{layout}"

    def detach(self):
        return self

    def coalesce(self):
        return SparseTensor(self.matrix.tocoo(), "coo", is_coalesced=True)

    def indices(self):
        assert self.is_coalesced
        return Tensor(np.stack(self.matrix.coords))

    def crow_indices(self):
        return Tensor(self.matrix.indptr)

    def col_indices(self):
        return Tensor(self.matrix.indices)

    def values(self):
        return Tensor(self.matrix.data)
