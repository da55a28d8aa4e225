"""The thirteen embedders: an encoder per method, and the codebooks some of them need."""

from cgcython.embedders.codebooks import Codebooks
from cgcython.embedders.encoder import Encoder
from cgcython.embedders.encoders import (
    BinaryEncoder,
    Encoders,
    Float8E4M3Encoder,
    PQ8Encoder,
    SparseNativeEncoder,
    TokenPruningEncoder,
)
from cgcython.embedders.losses import RecallLoss

__all__ = [
    "BinaryEncoder",
    "Codebooks",
    "Encoder",
    "Encoders",
    "Float8E4M3Encoder",
    "PQ8Encoder",
    "RecallLoss",
    "SparseNativeEncoder",
    "TokenPruningEncoder",
]
