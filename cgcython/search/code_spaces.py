"""How an index lays out the codes of each dense codec, and measures their distance to a query."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from cgcython import kernels
from cgcython.checks import require_choice
from cgcython.codecs.base import Codec, codec_of
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.errors import CodebookMissing, DimensionMismatch, InvalidInput, MethodMismatch
from cgcython.records import QuantizedBatch
from cgcython.search import code_scorers as scorers
from cgcython.search import float8_best, rq_scorers
from cgcython.search.code_file import BLOCK
from cgcython.search.nearest_codes import codes_of
from cgcython.search.pq_scorers import PQScorers
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array, UInt8Array

Arrays: TypeAlias = dict[str, Array]


class CodeSpace(ABC):
    """One codec and one metric: the first of `metrics`, unless another is chosen.

    `forms` are the arrays of an index; what is added to it are the columns of a batch.
    """

    metrics: ClassVar[tuple[str, ...]]
    forms: ClassVar[Mapping[str, ArrayForm]]

    def __init__(self, codec: Any, metric: str | None) -> None:
        self.codec = codec
        self.metric = require_choice(metric or self.metrics[0], "metric", self.metrics)

    @property
    def shared(self) -> dict[str, Any]:
        """What all codes have in common, as a batch says it."""
        return {}

    def measuring(self, metric: str | None) -> Self:
        """Return this space with another metric, for one search; raises InvalidInput."""
        if metric is None or metric == self.metric:
            return self
        other = copy(self)
        other.metric = require_choice(metric, "metric", self.metrics)
        return other

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


class PQSpace(CodeSpace):
    """Codes of one codebook in blocks of 64 rows, as the kernel reads them."""

    metrics = ("l2", "cosine")
    codec: PQ8Codec
    forms: ClassVar = {"blocks": ArrayForm("U8", ("blocks", "parts", BLOCK))}

    def __init__(self, codec: PQ8Codec, metric: str | None) -> None:
        super().__init__(codec, metric)
        self._scorers = PQScorers(codec.codebook)

    @property
    def shared(self) -> dict[str, Any]:
        shared: dict[str, Any] = self.codec.metadata._asdict()
        return shared

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        return self._scorers.scorer(query, self.metric)

    def empty(self) -> Arrays:
        return {"blocks": np.empty((0, self.codec.codebook.num_subvectors, BLOCK), np.uint8)}

    def taken(self, arrays: Mapping[str, Array], rows: Int64Array) -> Arrays:
        return {"codes": codes_of(arrays["blocks"], rows)}

    def appended(self, arrays: Mapping[str, Array], count: int, added: Arrays) -> Arrays:
        blocks, whole = arrays["blocks"], count // BLOCK
        codes = np.concatenate([codes_of(blocks, np.arange(whole * BLOCK, count)), added["codes"]])
        last = np.empty((-(-len(codes) // BLOCK), codes.shape[1], BLOCK), np.uint8)
        kernels.adc.block_codes(np.ascontiguousarray(codes), last)
        self._scorers.forget_lengths()
        return {"blocks": np.concatenate([blocks[:whole], last])}

    def axes(self, count: int) -> dict[str, int]:
        return {"blocks": -(-count // BLOCK), "parts": self.codec.codebook.num_subvectors}

    def _plain(self, codes: ArrayLike) -> Arrays:
        return {"codes": self.codec.codebook.checked_codes(codes)}

    def _require_shared(self, shared: Mapping[str, Any]) -> None:
        _require_codebook(shared, self.shared)


class RQSpace(CodeSpace):
    """Residual codes of one codebook, with the length of what each decodes to."""

    metrics = ("l2", "cosine")
    codec: RQ8Codec
    forms: ClassVar = {**RQ8Codec.columns, "norms": ArrayForm("F32", ("rows",))}

    @property
    def shared(self) -> dict[str, Any]:
        shared: dict[str, Any] = self.codec.metadata._asdict()
        return shared

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        kind = rq_scorers.RQCosine if self.metric == "cosine" else rq_scorers.RQDistance
        return kind(self.codec.codebook, query)

    def empty(self) -> Arrays:
        return {**super().empty(), "norms": np.empty(0, np.float32)}

    def taken(self, arrays: Mapping[str, Array], rows: Int64Array) -> Arrays:
        return {name: arrays[name][rows] for name in self.codec.columns}

    def appended(self, arrays: Mapping[str, Array], count: int, added: Arrays) -> Arrays:
        norms = self.codec.codebook.norms(added["codes"])
        return super().appended(arrays, count, {**added, "norms": norms})

    def axes(self, count: int) -> dict[str, int]:
        return {"code_size": self.codec.codebook.code_size}

    def _plain(self, codes: ArrayLike) -> Arrays:
        return {"codes": self.codec.codebook.checked_codes(codes)}

    def _require_shared(self, shared: Mapping[str, Any]) -> None:
        _require_codebook(shared, self.shared)


class Float8Space(CodeSpace):
    """E4M3 codes with a scale each, and one over the length of their values without it."""

    metrics = ("l2", "cosine")
    codec: Float8Codec
    forms: ClassVar = {**Float8Codec.columns, "inverse_norms": ArrayForm("F32", ("rows",))}

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        kind = scorers.Float8Cosine if self.metric == "cosine" else scorers.Float8Distance
        return kind(query)

    def reads_together(self, count: int, k: int) -> bool:
        return self.metric == "cosine" and float8_best.pays(count, self.codec.dim, k)

    def empty(self) -> Arrays:
        return {**super().empty(), "inverse_norms": np.empty(0, np.float32)}

    def taken(self, arrays: Mapping[str, Array], rows: Int64Array) -> Arrays:
        return {name: arrays[name][rows] for name in self.codec.columns}

    def appended(self, arrays: Mapping[str, Array], count: int, added: Arrays) -> Arrays:
        inverse_norms = np.empty(len(added["codes"]), np.float32)
        kernels.e4m3.inverse_norms(added["codes"], inverse_norms)
        return super().appended(arrays, count, {**added, "inverse_norms": inverse_norms})

    def _plain(self, codes: ArrayLike) -> Arrays:
        expected = "a QuantizedBatch, with scales, as index.codec.encode_batch(rows) returns"
        raise InvalidInput(what="codes", expected=expected, actual=type(codes).__name__)


class BitSpace(CodeSpace):
    """Packed signs."""

    metrics = ("hamming", "jaccard")
    codec: BinaryCodec
    forms: ClassVar = BinaryCodec.columns

    @property
    def shared(self) -> dict[str, Any]:
        return {"threshold": self.codec.threshold}

    def scorer(self, query: Float32Array) -> scorers.Scorer:
        bits = np.frombuffer(self.codec.encode(query).data, np.uint8)
        return scorers.Jaccard(bits) if self.metric == "jaccard" else scorers.Hamming(bits)

    def _plain(self, codes: ArrayLike) -> Arrays:
        found: UInt8Array = np.asarray(codes)
        if found.dtype != np.uint8 or found.shape[1:] != (self.codec.expected_size(),):
            expected = f"u8 [n, {self.codec.expected_size()}]"
            actual = f"{found.dtype} {found.shape}"
            raise InvalidInput(what="codes", expected=expected, actual=actual)
        found = np.ascontiguousarray(found)
        if not kernels.bits.padding_is_zero(found, self.codec.dim):
            raise InvalidInput(what="codes", expected="padding bits of 0", actual="some of 1")
        return {"codes": found}


def _require_codebook(shared: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    if dict(shared) != own:
        raise CodebookMissing(codebook_id=shared.get("codebook_id"))


_SPACES: dict[type[Codec], type[CodeSpace]] = {
    BinaryCodec: BitSpace,
    Float8Codec: Float8Space,
    PQ8Codec: PQSpace,
    RQ8Codec: RQSpace,
}


def space_of(codec: object, metric: str | None) -> CodeSpace:
    """Return the space of a codec or codebook; raises InvalidInput for what has none."""
    found = codec_of(codec) if isinstance(codec, Codebook) else codec
    for kind, space in _SPACES.items():
        if isinstance(found, kind):
            return space(found, metric)
    expected = "a codebook, PQ8Codec, RQ8Codec, Float8Codec or BinaryCodec"
    raise InvalidInput(what="codec", expected=expected, actual=type(codec).__name__)
