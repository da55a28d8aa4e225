"""How an index lays out the codes of a dense codec, and measures their distance to a query."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from cgcython.checks import require_choice
from cgcython.errors import DimensionMismatch, InvalidInput, MethodMismatch
from cgcython.records import QuantizedBatch
from cgcython.search import code_scorers as scorers
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array

Arrays: TypeAlias = dict[str, Array]


class CodeSpace(ABC):
    """One codec and one metric: the first of `metrics`, unless another is chosen.

    `forms` are the arrays of an index; what is added to it are the columns of a batch.
    """

    metrics: ClassVar[tuple[str, ...]]
    forms: ClassVar[Mapping[str, ArrayForm]]

    def __init__(self, codec: Any, metric: str | None) -> None:
        self.codec = codec
        chosen = self.metrics[0] if metric is None else metric
        self.metric = require_choice(chosen, "metric", self.metrics)

    @property
    def shared(self) -> dict[str, Any]:
        """What all codes have in common, as a batch says it."""
        return {}

    def measuring(self, metric: str | None) -> Self:
        """Return this space with another metric, for one search; raises InvalidInput."""
        if metric is None:
            return self
        other = copy(self)
        other.metric = require_choice(metric, "metric", self.metrics)
        return self if other.metric == self.metric else other

    @abstractmethod
    def scorer(self, query: Float32Array) -> scorers.Scorer:
        """Return what measures distances to a query [dim]."""

    def reads_together(self, count: int, k: int) -> bool:
        """Return whether several queries share the reading of so many rows."""
        return False

    def columns_of(self, given: QuantizedBatch | ArrayLike) -> Arrays:
        """Return the columns of a batch or of plain codes [n, bytes], checked."""
        if not isinstance(given, QuantizedBatch):
            return self._plain(given)
        if given.method is not self.codec.method:
            raise MethodMismatch(expected=self.codec.method, actual=given.method)
        if given.original_dim != self.codec.dim:
            raise DimensionMismatch(expected=self.codec.dim, actual=given.original_dim)
        self._require_shared(given.shared)
        self.codec.rows(given[:0])  # which checks the columns
        return {name: np.ascontiguousarray(given.columns[name]) for name in self.codec.columns}

    def empty(self) -> Arrays:
        """Return the arrays of no rows."""
        none = np.empty((0, self.codec.dim), np.float32)
        return dict(self.codec.encode_batch(none).columns)

    def taken(self, arrays: Mapping[str, Array], rows: Int64Array) -> Arrays:
        """Return the columns of some rows."""
        return {name: one[rows] for name, one in arrays.items()}

    def appended(self, arrays: Mapping[str, Array], count: int, added: Arrays) -> Arrays:
        """Return the arrays of `count` rows and of added ones behind them."""
        return {name: np.concatenate([arrays[name][:count], one]) for name, one in added.items()}

    def axes(self, count: int) -> dict[str, int]:
        """Return the lengths that `forms` name, for a number of rows."""
        return {"rows": count, "dim": self.codec.dim, "bits": -(-self.codec.dim // 8)}

    @abstractmethod
    def _plain(self, codes: ArrayLike) -> Arrays:
        """Return the columns of codes without a batch, or say that they need one."""

    def _require_shared(self, shared: Mapping[str, Any]) -> None:
        if dict(shared) != self.shared:
            expected, actual = f"a batch that shares {self.shared}", dict(shared)
            raise InvalidInput(what="codes", expected=expected, actual=actual)
