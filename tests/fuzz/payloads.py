"""The payloads of sparse vectors and of tokens, in every layout, with metadata that lie too."""

import struct
from contextlib import suppress

from fuzz.embedding import LARGEST, decode
from fuzz.world import records

from cgcython import (
    ModelId,
    QuantizationError,
    QuantizationMethod,
    QuantizedEmbedding,
    SparseMetadata,
    TokenPruningMetadata,
)

_HEAD = struct.Struct("<BIIIf")
LAYOUTS = (
    *(("sparse", one) for one in ("canonical", "compact_f16", "compact_f32", "compact_u8")),
    *(("tokens", f"compact_{one}") for one in ("e4m3", "f32", "int4", "int2")),
    ("tokens", "canonical"),
    *(("tokens", f"compact_{one}") for one in ("int4_f16", "int2_f16")),
)


def seeds():
    found = []
    for record in records():
        for model_id in {ModelId.SPARSE, ModelId.LATE_INTERACTION} & record.keys():
            one = record[model_id]
            kind = "sparse" if model_id is ModelId.SPARSE else "tokens"
            layout = LAYOUTS.index((kind, one.metadata.layout))
            numbers = [*one.metadata[:2], 0.5][-3:]
            found += [_HEAD.pack(layout, one.original_dim, *numbers) + one.data]
    return found


def fuzz_one(data):
    if len(data) < _HEAD.size:
        return
    layout, dimension, first, second, part = _HEAD.unpack_from(data)
    kind, layout = LAYOUTS[layout % len(LAYOUTS)]
    if kind == "sparse":
        method, metadata = QuantizationMethod.SPARSE_NATIVE, SparseMetadata(first, second, layout)
    else:
        method = QuantizationMethod.TOKEN_PRUNING
        metadata = TokenPruningMetadata(first, second, part, layout)
        if dimension * second > LARGEST:
            return
    with suppress(QuantizationError):
        decode(QuantizedEmbedding(method, dimension, data[_HEAD.size :], metadata))
