"""Codebook files, and decoding by what they hold."""

import numpy as np
from fuzz.mutations import change_tensors
from fuzz.world import as_file, file_of, rng

from cgcython import PQ8Codebook, QuantizationError, RQ8Codebook
from cgcython.codecs.codebook_base import Codebook

mutate = change_tensors


def seeds():
    plain = PQ8Codebook(rng().standard_normal((8, 256, 1)).astype(np.float32))
    turned = PQ8Codebook(
        plain.centroids,
        mean=np.zeros(9, np.float32),
        rotation=np.eye(9, 8, dtype=np.float32),
        metadata={"model": "Semantic", "held_out_loss": 0.03, "samples": 9},
    )
    stages = rng().standard_normal((3, 256, 2))
    residual = RQ8Codebook(stages, np.eye(9, 2), np.zeros(9), {"samples": 9})
    return [file_of(book.save, "book.safetensors") for book in (plain, turned, residual)]


def fuzz_one(data):
    with as_file(data, "book.safetensors") as path:
        try:
            book = Codebook.load(path)
            assert Codebook.from_bytes(book.to_bytes()) == book
            decoded = book.decode(np.zeros((1, book.code_size), np.uint8))
            assert decoded.shape == (1, book.embedding_dim)
        except QuantizationError:
            pass
