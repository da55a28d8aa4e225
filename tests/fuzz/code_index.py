"""Files of a CodeIndex, and searching what they hold."""

import numpy as np
from fuzz.mutations import change_tensors
from fuzz.world import as_file, codebook, file_of, rng

from cgcython import CodeIndex, QuantizationError

mutate = change_tensors


def seeds():
    codes = rng().integers(0, 256, (70, 8)).astype(np.uint8)
    plain = CodeIndex(codebook(), codes)
    named = CodeIndex(codebook(), codes[:5], ids=[9, 2, 7, -1, 2**62])
    return [file_of(one.save, "codes.safetensors") for one in (plain, named)]


def fuzz_one(data):
    with as_file(data, "codes.safetensors") as path:
        for verify in (True, False):
            try:
                index = CodeIndex.load(path, codebook(), verify=verify)
                ids, distances = index.search(np.ones(16, np.float32), k=3)
            except QuantizationError:
                continue
            assert len(ids) == len(distances) == min(3, len(index))
