"""Sums of table entries by definition: in order and in float32, as every level sums them."""

import numpy as np

from cgcython.kernels.reference.door import writes

BLOCK = 64


@writes("out")
def scan(table, codes, out):
    """Write the sum of each row's table entries, in order and in float32."""
    _require_scan(table, codes, out)
    out[...] = _sums(table, codes)


@writes("out")
def cosine(dots, norms, dot_constant, norm_constant, codes, out):
    """Write (dot_constant + sum of dots) / sqrt(norm_constant + sum of norms) of each row.

    0 where the norm is 0.
    """
    _require_scan(dots, codes, out)
    _require_scan(norms, codes, out)
    squares = norm_constant + _sums(norms, codes).astype(np.float64)
    with np.errstate(all="ignore"):
        cosines = (dot_constant + _sums(dots, codes)) / np.sqrt(squares)
        out[...] = np.where(squares > 0, cosines, 0)


@writes("ids", "best")
def topk(table, codes, ids, best):
    """Write the rows with the k smallest sums, ascending, the lower row first on ties."""
    if len(ids) != len(best) or len(ids) > len(codes):
        raise ValueError(f"ids holds {len(ids)}, best {len(best)}, codes {len(codes)} rows")
    sums = np.empty(len(codes), np.float32)
    scan(table, codes, sums)
    order = np.argsort(sums, kind="stable")[: len(ids)]
    ids[...], best[...] = order, sums[order]


@writes("blocks")
def block_codes(codes, blocks):
    """Lay codes [n, M] out for topk_blocks: [ceil(n / 64), M, 64], zeros behind the last row."""
    _require_blocks(blocks, *codes.shape)
    M = codes.shape[1]
    padded = np.zeros((len(blocks) * BLOCK, M), np.uint8)
    padded[: len(codes)] = codes
    blocks[...] = padded.reshape(len(blocks), BLOCK, M).transpose(0, 2, 1)


@writes("ids", "best")
def topk_blocks(table, blocks, n, ids, best):
    """Write what topk writes for the n codes that block_codes laid out."""
    topk(table, _unblocked(blocks, n), ids, best)


@writes("ids", "best")
def topk_cosine(dots, norms, dot_constant, norm_constant, blocks, lengths, edges, n, ids, best):
    """Write the k rows with the least 1 - cosine, ascending, the lower row first on ties.

    Cosines are those of `cosine`; a NaN counts as infinitely far. A row whose length is c decodes
    to what is edges[c] to edges[c + 1] long; edges ascend.
    """
    codes = _unblocked(blocks, n)
    expected = len(blocks), BLOCK
    if lengths.shape != expected or len(edges) != 257:
        found = f"lengths are {lengths.shape}, edges {len(edges)}"
        raise ValueError(f"{found}, expected {expected} and 257")
    if len(ids) != len(best) or len(ids) > n:
        raise ValueError(f"ids holds {len(ids)}, best {len(best)}, codes {n} rows")
    cosines = np.empty(n, np.float32)
    cosine(dots, norms, dot_constant, norm_constant, codes, cosines)
    distances = np.fmin(np.subtract(1, cosines), np.float32(np.inf))
    order = np.argsort(distances, kind="stable")[: len(ids)]
    ids[...], best[...] = order, distances[order]


def _unblocked(blocks, n):
    _require_blocks(blocks, n, blocks.shape[1])
    rows = len(blocks) * BLOCK, blocks.shape[1]
    return np.ascontiguousarray(blocks.transpose(0, 2, 1)).reshape(rows)[:n]


def _require_blocks(blocks, n, M):
    expected = -(-n // BLOCK), M, BLOCK
    if n < 0 or blocks.shape != expected:
        raise ValueError(f"blocks are {blocks.shape}, expected {expected}")


@np.errstate(all="ignore")
def _sums(table, codes):
    sums = np.zeros(len(codes), np.float32)
    for m, entries in enumerate(table):
        sums += entries[codes[:, m]]
    return sums


def _require_scan(table, codes, out):
    if table.shape[1] != 256 or codes.shape[1] != table.shape[0]:
        raise ValueError(f"table is {table.shape}, codes are {codes.shape}")
    if len(out) != len(codes):
        raise ValueError(f"out holds {len(out)}, codes {len(codes)} rows")
