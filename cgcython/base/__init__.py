"""The vocabulary of every layer: embedders, methods and profiles."""

from cgcython.base.embedders import (
    FIRST_OWN,
    NUMBERS,
    EmbedderId,
    EmbedderName,
    ModelId,
    OwnEmbedder,
    nearest_names,
    parse_embedder,
)
from cgcython.base.profiles import DEFAULT_PROFILE, Profile, ProfileName
from cgcython.base.quantization_method import QuantizationMethod
from cgcython.base.rows import MAX_DIMENSION, Embedder

__all__ = [
    "DEFAULT_PROFILE",
    "FIRST_OWN",
    "MAX_DIMENSION",
    "NUMBERS",
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
