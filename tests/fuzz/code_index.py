"""Files of a CodeIndex, and searching what they hold."""

import numpy as np
from fuzz.mutations import change_tensors
from fuzz.world import as_file, codebook, file_of, rng

from cgcython import (
    BinaryCodec,
    CodeIndex,
    Float8Codec,
    InvalidInput,
    QuantizationError,
    ScalarCodec,
)

mutate = change_tensors
CODECS = Float8Codec(16), BinaryCodec(16, 0.5), ScalarCodec(16, 6)


def seeds():
    codes = rng().integers(0, 256, (70, 8)).astype(np.uint8)
    plain = CodeIndex(codebook(), codes)
    named = CodeIndex(codebook(), codes[:5], ids=[9, 2, 7, -1, 2**62])
    rows = rng().standard_normal((70, 16))
    texts = [f"n{i}" for i in range(70)]
    others = [
        CodeIndex(one, one.encode_batch(rows), ids) for one in CODECS for ids in (None, texts)
    ]
    indexes = [plain, named, CodeIndex(codebook(), codes, metric="cosine"), *others]
    return [file_of(one.save, "codes.safetensors") for one in indexes]


def fuzz_one(data):
    with as_file(data, "codes.safetensors") as path:
        for verify in (True, False):
            try:
                index = _loaded(path, verify)
                ids, distances = index.search(np.ones(index.codec.dim, np.float32), k=3)
            except QuantizationError:
                continue
            assert len(ids) == len(distances) == min(3, len(index))


def _loaded(path, verify):
    try:
        return CodeIndex.load(path, codebook(), verify=verify)
    except InvalidInput:  # the codes of another method, which need no codebook
        return CodeIndex.load(path, verify=verify)
