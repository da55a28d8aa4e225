"""The thirteen embedders: an encoder per method, and the codebooks some of them need."""

from cgcython.embedders.codebooks import Codebooks
from cgcython.embedders.encoders import (
    BinaryEncoder,
    Encoder,
    Float8E4M3Encoder,
    PQ8Encoder,
    RecallLoss,
    SparseNativeEncoder,
    TokenPruningEncoder,
)

__all__ = [
    "BinaryEncoder",
    "Codebooks",
    "Encoder",
    "Float8E4M3Encoder",
    "PQ8Encoder",
    "RecallLoss",
    "SparseNativeEncoder",
    "TokenPruningEncoder",
]
