"""Inputs of a corpus (`.npy`, `.npz`, `.safetensors`), encoded where they are let in."""

import json
from functools import partial
from io import BytesIO

import numpy as np
from fuzz.mutations import change_bytes, change_tensors
from fuzz.world import as_file, memories, rng, unpacked, zipped
from safetensors.numpy import save

from cgcython import Fingerprint, QuantizationError, open_corpus

SUFFIXES = (".npy", ".npz", ".safetensors")  # the first byte of the data chooses
NARROW = {"BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1}  # bytes of one number
FEW = 100  # memories that are read


def seeds():
    arrays = {
        "E2": rng().standard_normal((3, 12)).astype(np.float32),
        "E6.indptr": np.array([0, 2, 2, 3]),
        "E6.indices": np.array([3, 7, 399]),
        "E6.weights": np.ones(3, np.float32),
        "E12.values": rng().standard_normal((4, 8)).astype(np.float16),
        "E12.offsets": np.array([0, 4]),
        "E12.rows": np.array([1]),
        "ids": rng().integers(0, 256, (3, 16)).astype(np.uint8),
    }
    several = [b"\1" + _saved(partial(one, **arrays)) for one in (np.savez, np.savez_compressed)]
    texts = [
        b"\0" + _saved(partial(np.save, arr=np.array(one))) for one in (["a"], [[1, 2]], [b"c"])
    ]
    return [
        b"\0" + _saved(partial(np.save, arr=arrays["E2"])),
        *texts,
        *several,
        b"\2" + save(arrays),
        *(b"\2" + _narrow(dtype, size) for dtype, size in NARROW.items()),
    ]


def _narrow(dtype, size):
    """Return a .safetensors file of a matrix [3, 12] of narrow floats."""
    raw = rng().integers(0, 120, 36 * size).astype(np.uint8).tobytes()
    place = {"dtype": dtype, "shape": [3, 12], "data_offsets": [0, len(raw)]}
    head = json.dumps({"E2": place}).encode()
    return len(head).to_bytes(8, "little") + head + raw


def _saved(write):
    content = BytesIO()
    write(content)
    return content.getvalue()


def mutate(data, rng):
    match data[0] % len(SUFFIXES):
        case 1:
            files = unpacked(data[1:])
            if files:
                name = rng.choice(list(files))
                files[name] = change_bytes(files[name], rng)
                return b"\1" + zipped(files)
        case 2:
            return b"\2" + change_tensors(data[1:], rng)
    return data[:1] + change_bytes(data[1:], rng)


def fuzz_one(data):
    suffix = SUFFIXES[(data[0] if data else 0) % len(SUFFIXES)]
    with as_file(data[1:], f"corpus{suffix}") as path:
        try:
            corpus = open_corpus(f"E2={path}" if suffix == ".npy" else path, memories().profile)
            for one in corpus.fingerprints(0, min(FEW, corpus.num_memories)):
                Fingerprint(one).encode(memories().router)
        except QuantizationError:
            pass
