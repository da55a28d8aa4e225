"""One memory as its embedders see it."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, require_finite
from cgcython.base import EmbedderId
from cgcython.checks import require_instance
from cgcython.codecs.sparse_forms import is_sparse, row_of
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.fingerprint.parts import Parts
from cgcython.fingerprint.record import DEFAULT_BUDGET_BYTES, QuantizedFingerprint
from cgcython.records import SparseVector
from cgcython.router import QuantizationRouter
from cgcython.types import Float32Array


class Fingerprint(Parts[Any]):
    """The embeddings of one memory: all thirteen, or the embedders a user has.

    A value is a float32 vector, a SparseVector or a token matrix. Raises NonFiniteValue and
    InvalidInput; dimensions are checked when a router encodes it.

    >>> Fingerprint({"E9": [0.5, -0.5], "E8": [1.0, 2.0]})
    Fingerprint(E8, E9)
    """

    def __init__(self, embeddings: Mapping[Any, Any]) -> None:
        super().__init__(embeddings)
        self._parts = {key: _value(value, key) for key, value in self._parts.items()}

    @classmethod
    def of(cls, embeddings: Mapping[Any, Any]) -> Self:
        """Return a Fingerprint as it is, and any other mapping as one."""
        if isinstance(embeddings, cls):
            return embeddings
        if not isinstance(embeddings, Mapping):
            actual = type(embeddings).__name__
            raise InvalidInput(what="fingerprint", expected="a Fingerprint", actual=actual)
        return cls(embeddings)

    def copied(self) -> "Fingerprint":
        """Return the same embeddings in arrays of their own, which no other code writes to."""
        return self._trusted({key: _copied(value) for key, value in self.items()})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return self.keys() == other.keys() and all(
            _equal(value, other[key]) for key, value in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # which is how Python says unhashable

    def encode(
        self,
        router: QuantizationRouter,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        metadata: Mapping[str, Any] | None = None,
    ) -> "QuantizedFingerprint":
        """Return the QuantizedFingerprint of these embeddings in the router's compact layouts.

        Of the steps of `cgcython.embedders.ladder` the finest that fits the budget is taken; None
        takes the finest. `metadata` is a JSON object that travels with the record and is not
        counted. Raises BudgetExceeded when the smallest layouts are larger than the budget.
        """
        router = require_instance(router, QuantizationRouter, "router")
        for step in router.steps_within(self, budget_bytes):
            record = QuantizedFingerprint._trusted(router.quantize_fingerprint(self, step))
            if record.fits(budget_bytes):
                break
        record = record.within(budget_bytes)
        return record if metadata is None else record.with_info(metadata=metadata)


def _value(value: Any, model_id: EmbedderId) -> Any:
    if isinstance(value, SparseVector):
        return value
    try:
        if type(value) is not np.ndarray and is_sparse(value):
            return row_of(value)
        if isinstance(value, Mapping):
            expected = "SparseVector(indices, weights, dimension), which says its dimension"
            raise InvalidInput(what="embedding", expected=expected, actual=type(value).__name__)
        array = as_float32(getattr(value, "embeddings", value))
        if kernels.dense.first_nonfinite(array.reshape(-1)) >= 0:
            require_finite(array)
    except QuantizationError as error:
        error.model_id = model_id
        raise
    return array


def _copied(value: Float32Array | SparseVector) -> Float32Array | SparseVector:
    if isinstance(value, SparseVector):
        return SparseVector.trusted(value.indices.copy(), value.weights.copy(), value.dimension)
    return value.copy()


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, SparseVector) or isinstance(b, SparseVector):
        return isinstance(a, SparseVector) and a == b
    return np.array_equal(a, b)
