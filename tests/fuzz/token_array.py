"""Files of a TokenArray, and scoring what they hold."""

import numpy as np
from fuzz.mutations import change_tensors
from fuzz.world import as_file, codebook, file_of, rng

from cgcython import QuantizationError, TokenArray, max_sim_batch

mutate = change_tensors
_PLAIN = ("bfloat16", "e4m3", "int8", "int4", "int2", "sign")


def seeds():
    documents = [rng(n).standard_normal((n, 16)).astype(np.float32) for n in (2, 0, 3)]
    plain = TokenArray.from_list(documents)
    kinds = [plain, *(plain.quantize(one) for one in _PLAIN)]
    signs = plain.quantize("sign")
    kinds.append(TokenArray(signs.values, signs.offsets, "sign"))
    kinds.append(plain.quantize("pq", codebook()))
    return [file_of(one.save, "tokens.safetensors") for one in kinds]


def fuzz_one(data):
    with as_file(data, "tokens.safetensors") as path:
        for book in (None, codebook()):
            try:
                tokens = TokenArray.load(path, book, verify=True)
                max_sim_batch(np.ones((2, tokens.dim), np.float32), tokens)
                assert len(tokens.dequantize()) == len(tokens)
            except QuantizationError:
                pass
