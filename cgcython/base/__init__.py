"""The vocabulary of every layer: embedders, methods and profiles."""

from cgcython.base.embedders import (
    EmbedderId,
    EmbedderName,
    ModelId,
    OwnEmbedder,
    nearest_names,
    parse_embedder,
)
from cgcython.base.profiles import DEFAULT_PROFILE, MAX_DIMENSION, Embedder, Profile, ProfileName
from cgcython.base.quantization_method import QuantizationMethod

__all__ = [
    "DEFAULT_PROFILE",
    "MAX_DIMENSION",
    "Embedder",
    "EmbedderId",
    "EmbedderName",
    "ModelId",
    "OwnEmbedder",
    "Profile",
    "ProfileName",
    "QuantizationMethod",
    "nearest_names",
    "parse_embedder",
]
