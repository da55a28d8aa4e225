"""Files of embeddings in the sizes of a profile, any number of memories, written block by block.

Blocks are made from one drawn block: dense vectors and tokens are sums of two of its rows, indices
of sparse vectors are shifted. So a million memories take a minute, and no two are equal.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks.inputs import DENSITY, TOKENS, correlated, unit
from realistic import BATCH, Realistic

from cgcython import QuantizationMethod

BLOCK = 4096  # memories
DTYPES = {"F32": np.float32, "I64": np.int64, "U32": np.uint32}


def write_inputs(folder, profile, embedders, memories, data=None):
    """Write a file for each embedder; return the inputs as `open_corpus` and `encode` take them.

    Dense vectors are made of the real ones in the folder `data`, where that is given.
    """
    makers = {
        QuantizationMethod.SPARSE_NATIVE: write_sparse,
        QuantizationMethod.TOKEN_PRUNING: write_tokens,
    }
    inputs = []
    for one in embedders:
        row = profile[one]
        write = makers.get(row.method, partial(write_dense, drawn=drawn_from(data, row)))
        inputs.append(f"{one.short}={write(Path(folder) / one.short, row.dimension, memories)}")
    return inputs


def blocks(memories):
    """Yield the number and the size of each block."""
    for number in range(-(-memories // BLOCK)):
        yield number, min(BLOCK, memories - number * BLOCK)


def mixed(drawn, number):
    """Return a block of rows that are sums of two drawn ones, in each block of another two."""
    order = np.roll(np.random.default_rng(0).permutation(len(drawn)), number)
    return np.float32(0.8) * drawn + np.float32(0.6) * drawn[order]


def drawn_from(data, row):
    """Return what draws a block of dense vectors of an embedder."""
    if data is None:
        return partial(correlated, BLOCK, row.dimension)
    made = Realistic(Path(data))
    return lambda: np.concatenate([made.dense(row.model_id, n) for n in range(BLOCK // BATCH)])


def write_dense(path, dimension, memories, drawn):
    """Write a matrix, as .npy."""
    path, drawn = path.with_suffix(".npy"), drawn()
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (memories, dimension)}
        np.lib.format.write_array_header_1_0(file, header)
        for number, size in blocks(memories):
            file.write(mixed(drawn, number)[:size].data)
    return path


def write_tokens(path, dimension, memories):
    """Write unit tokens, as many for each memory, as .safetensors."""
    rng = np.random.default_rng(dimension)
    drawn = unit(rng.standard_normal((BLOCK * TOKENS, dimension), dtype=np.float32))
    offsets = np.arange(memories + 1, dtype=np.int64) * TOKENS
    shapes = {"offsets": ("I64", offsets.shape), "values": ("F32", (offsets[-1], dimension))}
    parts = [offsets], (mixed(drawn, number)[: size * TOKENS] for number, size in blocks(memories))
    return write_safetensors(path, shapes, parts, "values,offsets")


def write_sparse(path, vocabulary, memories):
    """Write sparse vectors of about 5 % non-zeros, as .safetensors."""
    rng = np.random.default_rng(vocabulary)
    mask = rng.random((BLOCK, vocabulary), dtype=np.float32) < DENSITY
    weights = rng.gamma(1.0, 1.0, np.count_nonzero(mask)).astype(np.float32)
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(mask, axis=1))])
    drawn = np.flatnonzero(mask)  # row * vocabulary + index
    cut = [ends[size] for _, size in blocks(memories)]
    parts = [ends[1 : size + 1] + number * ends[-1] for number, size in blocks(memories)]
    indptr = np.concatenate([ends[:1], *parts])
    shapes = {
        "indptr": ("I64", indptr.shape),
        "indices": ("U32", (indptr[-1],)),
        "weights": ("F32", (indptr[-1],)),
    }
    shifted_by = partial(shifted, drawn, vocabulary)
    indices = (shifted_by(number)[:end] for number, end in enumerate(cut))
    return write_safetensors(
        path, shapes, ([indptr], indices, (weights[:end] for end in cut)), "indptr,indices,weights"
    )


def shifted(drawn, vocabulary, number):
    """Return the indices of a block, each of a row moved on as far, ascending within rows."""
    rows, indices = np.divmod(drawn, vocabulary)
    moved = rows * vocabulary + (indices + 7919 * number) % vocabulary
    return (np.sort(moved, kind="stable") % vocabulary).astype(np.uint32)


def write_safetensors(path, shapes, arrays, names):
    """Write arrays that come in parts, and return the file with the names that an input gives."""
    header, end = {}, 0
    for name, (kind, shape) in shapes.items():
        start, end = end, end + int(np.prod(shape)) * np.dtype(DTYPES[kind]).itemsize
        plain = [int(size) for size in shape]
        header[name] = {"dtype": kind, "shape": plain, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = path.with_suffix(".safetensors")
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for parts in arrays:
            for part in parts:
                file.write(np.ascontiguousarray(part).data)
    return f"{path}:{names}"
