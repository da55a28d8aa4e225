"""Tells by an embedding which row of a profile would take it."""

from typing import Any

from cgcython.arrays import shape_of
from cgcython.base import QuantizationMethod
from cgcython.records import SparseVector


def form_of(embedding: Any) -> tuple[int | None, QuantizationMethod]:
    """Return the dimension of an embedding, if it says one, and a method that keeps its kind.

    >>> form_of(SparseVector([3], [1.0], 30522))
    (30522, <QuantizationMethod.SPARSE_NATIVE: 'sparse_native'>)
    """
    if isinstance(embedding, SparseVector):
        return embedding.dimension, QuantizationMethod.SPARSE_NATIVE
    shape = shape_of(embedding) or ()
    is_tokens = len(shape) == 2
    method = QuantizationMethod.TOKEN_PRUNING if is_tokens else QuantizationMethod.FLOAT8_E4M3
    return shape[-1] if shape else None, method
