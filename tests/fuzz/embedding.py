"""QuantizedEmbedding.from_bytes, and decoding what it lets through."""

import numpy as np
from fuzz.mutations import change_bytes, with_own_checksum
from fuzz.world import codebook, records, residual_codebook

from cgcython import (
    BinaryCodec,
    Float8Codec,
    PQ8Codec,
    QuantizationError,
    QuantizationMethod,
    QuantizedEmbedding,
    RQ8Codec,
    ScalarCodec,
    SparseCodec,
    TokenPruningCodec,
)

LARGEST = 1 << 20  # values that decoding may make of one embedding here


def seeds():
    residual = RQ8Codec(residual_codebook()).encode(np.arange(6))
    known = [one for record in records() for one in record.values()]
    scalars = [ScalarCodec(7, bits).encode(np.arange(7)) for bits in (8, 6, 4, 2)]
    return [one.to_bytes() for one in (*known, residual, *scalars)]


def mutate(data, rng):
    return with_own_checksum(change_bytes(data, rng))


def fuzz_one(data):
    try:
        found = QuantizedEmbedding.from_bytes(data)
        assert QuantizedEmbedding.from_bytes(found.to_bytes()) == found
        decode(found)
    except QuantizationError:
        pass


def decode(found):
    """Decode an embedding by the codec that its own words ask for."""
    dimension = found.original_dim
    if dimension * getattr(found.metadata, "original_tokens", 1) > LARGEST:
        return  # a bitmap of 100 MB is as true as a small one
    match found.method:
        case QuantizationMethod.FLOAT8_E4M3:
            codec = Float8Codec(dimension)
        case QuantizationMethod.BINARY:
            codec = BinaryCodec(dimension)
        case QuantizationMethod.PQ8:
            codec = PQ8Codec(codebook())
        case QuantizationMethod.RQ8:
            codec = RQ8Codec(residual_codebook())
        case QuantizationMethod.SCALAR:
            codec = ScalarCodec(dimension)
        case QuantizationMethod.SPARSE_NATIVE:
            codec = SparseCodec(dimension)
        case QuantizationMethod.TOKEN_PRUNING:
            codec = TokenPruningCodec(dimension)
    codec.decode(found)
