"""Sign bits in blocks by definition: count the bits that differ, take the least by index."""

import numpy as np

from cgcython.kernels.reference.door import agree, writes

_EACH, _SCAN, _WORD = 8, 64, 64


@writes("scratch", "packed")
def pack(values, factors, centre, flips, scratch, packed):
    """Write the signs of rows, value >= 0 to the lowest bit first, once they were turned.

    A row f32 [dim] is multiplied by its factor, less the centre, and filled up with zeros. Each
    turn, a row of flips u8 [turns, words * 64], deals values out to the blocks of Hadamard's
    transform, the largest power of two in their number, and negates those of odd flips before it.
    `scratch` holds two rows; `packed` is u64 [n, words].
    """
    (n, dim), words = values.shape, packed.shape[1]
    agree("packed", len(packed), "values", n)
    agree("factors", len(factors), "values", n)
    agree("centre", len(centre), "a row of values", dim)
    if words != -(-dim // _WORD):
        raise ValueError(f"a row of packed holds {words} words for {dim} values")
    size = _WORD * words
    agree("a row of flips", flips.shape[1], "a row of signs", size)
    agree("scratch", len(scratch), "two rows of signs", 2 * size)
    rows = np.pad(values * factors[:, None] - centre, [(0, 0), (0, size - dim)])
    block = max(1, size & -size)
    for signs in np.where(flips & 1, np.float32(-1), np.float32(1)):
        dealt = rows.reshape(n, size // block, block).transpose(0, 2, 1).reshape(n, size) * signs
        rows = _turned(dealt.reshape(n, size // block, block)).reshape(n, size)
    packed.view(np.uint8)[:] = np.packbits(rows >= 0, axis=1, bitorder="little")


def _turned(blocks):
    """Return Hadamard's transform of the last axis."""
    half = 1
    while half < blocks.shape[-1]:
        pairs = blocks.reshape(*blocks.shape[:2], blocks.shape[2] // (2 * half), 2, half)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        blocks = np.stack([a + b, a - b], axis=-2).reshape(blocks.shape)
        half *= 2
    return blocks


@writes("out")
def distances(query, blocks, out):
    """Write how many bits of each row differ from the query's, whose words lie there eight times.

    `query` is u64 [words, 8], `blocks` u64 [blocks, words, 8] of the rows of `out`.
    """
    _check_blocks(query, blocks, len(out))
    out[:] = _differing(query, blocks)[: len(out)]


@writes("ids", "distances")
def nearest(query, blocks, rows, k, ids, distances):
    """Write the k rows whose bits differ least from the query's, ascending, and how many differ.

    Of equals the first are found. Both outputs have room for 64 more than are found: what stands
    behind those is undefined.
    """
    _check_blocks(query, blocks, rows)
    agree("distances", len(distances), "ids", len(ids))
    if k < 0 or k > rows or len(ids) < k + _SCAN:
        raise ValueError(f"ids holds {len(ids)}, {k} of {rows} rows take {k + _SCAN}")
    found = _differing(query, blocks)[:rows]
    ids[:k] = np.sort(np.argsort(found, kind="stable")[:k])
    distances[:k] = found[ids[:k]]


def _differing(query, blocks):
    bits = np.unpackbits((blocks ^ query)[..., None].view(np.uint8), axis=-1)
    return bits.sum(axis=(1, 3), dtype=np.uint32).ravel()


def _check_blocks(query, blocks, rows):
    agree("a word of query", query.shape[1], "a word of blocks", _EACH)
    agree("a word of blocks", blocks.shape[2], "a word of query", _EACH)
    agree("a block", blocks.shape[1], "query", query.shape[0])
    if rows < 0 or len(blocks) != -(-rows // _EACH):
        raise ValueError(f"{len(blocks)} blocks of {_EACH} do not hold {rows} rows")
