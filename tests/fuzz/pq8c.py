"""`PQ8C` codebook files of another system."""

import struct

import numpy as np
from fuzz.world import as_file, rng

from cgcython import QuantizationError, interchange


def seeds():
    centroids = rng().standard_normal((8, 256, 1)).astype("<f4")
    return [struct.pack("<4sBII", b"PQ8C", 1, 8, 7) + centroids.tobytes()]


def fuzz_one(data):
    with as_file(data, "book.pq8c") as path:
        try:
            book = interchange.from_pq8c(path)
        except QuantizationError:
            return
        assert np.isfinite(book.decode(np.zeros((1, 8), np.uint8))).all()
