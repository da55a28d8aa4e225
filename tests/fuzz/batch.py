"""Files of a QuantizedBatch, cutting and decoding what they hold."""

import numpy as np
from codec_cases import CASES
from fuzz.mutations import change_tensors
from fuzz.world import as_file, file_of

from cgcython import QuantizationError, QuantizedBatch

mutate = change_tensors
CODECS = [case.codec for case in CASES]


def seeds():
    batches = [case.codec.encode_batch(case.inputs) for case in CASES]
    return [file_of(one.save, "batch.safetensors") for one in batches]


def fuzz_one(data):
    with as_file(data, "batch.safetensors") as path:
        for verify in (True, False):
            try:
                batch = QuantizedBatch.load(path, verify=verify)
                rows = len(batch[np.arange(len(batch))[:3]])
                assert rows == min(3, len(batch)) == len(batch[:3])
            except QuantizationError:
                continue
            for codec in CODECS:
                try:
                    codec.decode_batch(batch[:3])
                except QuantizationError:
                    continue
