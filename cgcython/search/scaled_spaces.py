"""How an index lays out codes that have a scale each."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cgcython import kernels
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.scalar import ScalarCodec
from cgcython.errors import InvalidInput
from cgcython.search import code_scorers as scorers
from cgcython.search import float8_best
from cgcython.search.code_space import Arrays, CodeSpace
from cgcython.search.scalar_scan import inverse_norms_of
from cgcython.search.scalar_scorers import ScalarScorer
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array


class ScaledSpace(CodeSpace):
    """Codes with a scale each, and one over the length of their values without it."""

    metrics = ("l2", "cosine")

    @abstractmethod
    def _inverse_norms(self, columns: Arrays) -> Float32Array:
        """Return one over the length of each row of a batch's columns, without its scale."""

    def empty(self) -> Arrays:
        return {**super().empty(), "inverse_norms": np.empty(0, np.float32)}

    def taken(self, arrays: Mapping[str, Array], rows: Int64Array) -> Arrays:
        return {name: arrays[name][rows] for name in self.codec.columns}

    def appended(self, arrays: Mapping[str, Array], count: int, added: Arrays) -> Arrays:
        added = {**added, "inverse_norms": self._inverse_norms(added)}
        return super().appended(arrays, count, added)

    def _plain(self, codes: ArrayLike) -> Arrays:
        expected = "a QuantizedBatch, with scales, as index.codec.encode_batch(rows) returns"
        raise InvalidInput(what="codes", expected=expected, actual=type(codes).__name__)


class Float8Space(ScaledSpace):
    """E4M3 codes."""

    codec: Float8Codec
    forms: ClassVar = {**Float8Codec.columns, "inverse_norms": ArrayForm("F32", ("rows",))}

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        kind = scorers.Float8Cosine if self.metric == "cosine" else scorers.Float8Distance
        return kind(query)

    def reads_together(self, count: int, k: int) -> bool:
        return self.metric == "cosine" and float8_best.pays(count, self.codec.dim, k)

    def _inverse_norms(self, columns: Arrays) -> Float32Array:
        inverse_norms = np.empty(len(columns["codes"]), np.float32)
        kernels.e4m3.inverse_norms(columns["codes"], inverse_norms)
        return inverse_norms


class ScalarSpace(ScaledSpace):
    """Scalar codes of some bits."""

    codec: ScalarCodec
    forms: ClassVar = {**ScalarCodec.columns, "inverse_norms": ArrayForm("F32", ("rows",))}

    @property
    def shared(self) -> dict[str, Any]:
        return {"bits": self.codec.bits}

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        return ScalarScorer(self.codec, query, self.metric)

    def axes(self, count: int) -> dict[str, int]:
        return {"bytes of codes": self.codec.expected_size()}

    def _inverse_norms(self, columns: Arrays) -> Float32Array:
        dim, bits = self.codec.dim, self.codec.bits
        return inverse_norms_of(columns["codes"], columns["scales"], dim, bits)
