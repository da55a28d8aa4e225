"""Sign bits in blocks by definition: count the bits that differ, take the least by index."""

import numpy as np

from cgcython.kernels.reference.door import agree, writes

_EACH, _SCAN = 8, 64


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
