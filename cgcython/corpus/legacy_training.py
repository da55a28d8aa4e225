"""Trains the codebooks that a migration needs on a sample of what is migrated."""

from collections.abc import Collection, Iterable

import numpy as np

from cgcython.base import EmbedderId, Profile
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.sizes import train_smallest
from cgcython.corpus.legacy_source import LegacySource
from cgcython.types import Array, Float32Array, TrainingProgress

SAMPLES = 20_000


def lacking_codebooks(
    source: LegacySource, profile: Profile, known: Collection[EmbedderId]
) -> list[EmbedderId]:
    """Return the embedders of a source that need a codebook and are not among the known ones."""
    return [
        one
        for one in source.embedders
        if one in profile and codec_class(profile[one].method).needs_codebook and one not in known
    ]


def train_codebook(
    source: LegacySource,
    model_id: EmbedderId,
    num_threads: int = 1,
    progress: TrainingProgress | None = None,
    method: str = "pq8",
) -> Codebook:
    """Return a method's smallest codebook that keeps the limit, trained on up to 20,000 rows."""
    vectors = (one for one in source.values(model_id) if isinstance(one, np.ndarray))
    codebook, _ = train_smallest(
        sample(vectors, SAMPLES),
        codec_class(method).max_loss,
        method=method,
        rotation="pca",  # a refined one loses a little less and takes far longer
        num_threads=num_threads,
        progress=progress,
        model=model_id.title,
    )
    return codebook


def sample(values: Iterable[Array], most: int, seed: int = 0) -> Float32Array:
    """Return up to `most` vectors, each as likely as any other; no more are held in memory.

    Those that are not finite, or not as long as the first, are left out.
    """
    rng, seen = np.random.default_rng(seed), 0
    kept: list[Float32Array] = []
    for value in values:
        if not np.isfinite(value).all() or (kept and len(value) != len(kept[0])):
            continue
        seen += 1
        if len(kept) < most:
            kept.append(np.array(value, np.float32))
        elif (place := int(rng.integers(seen))) < most:
            kept[place] = np.array(value, np.float32)
    return np.stack(kept) if kept else np.empty((0, 8), np.float32)
