"""How an index lays out the codes of each dense codec, and measures their distance to a query."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from cgcython import kernels
from cgcython.codecs.base import Codec, codec_of
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.rq8 import RQ8Codec
from cgcython.codecs.scalar import ScalarCodec
from cgcython.errors import CodebookMissing, InvalidInput
from cgcython.search import code_scorers as scorers
from cgcython.search import rq_scorers
from cgcython.search.code_file import BLOCK
from cgcython.search.code_space import Arrays, CodeSpace
from cgcython.search.nearest_codes import codes_of
from cgcython.search.pq_scorers import PQScorers
from cgcython.search.scaled_spaces import Float8Space, ScalarSpace
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike, Float32Array, Int64Array, UInt8Array


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
    ScalarCodec: ScalarSpace,
}


def space_of(codec: object, metric: str | None) -> CodeSpace:
    """Return the space of a codec or codebook; raises InvalidInput for what has none."""
    found = codec_of(codec) if isinstance(codec, Codebook) else codec
    for kind, space in _SPACES.items():
        if isinstance(found, kind):
            return space(found, metric)
    expected = "a codebook, PQ8Codec, RQ8Codec, ScalarCodec, Float8Codec or BinaryCodec"
    raise InvalidInput(what="codec", expected=expected, actual=type(codec).__name__)
