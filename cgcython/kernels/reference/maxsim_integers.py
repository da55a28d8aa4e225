"""Late interaction on small whole numbers by definition; see the compiled module for layouts."""

import numpy as np

from cgcython.kernels.reference.documents import check_documents
from cgcython.kernels.reference.door import agree, first_nonfinite, writes
from cgcython.kernels.reference.integers import (
    F32,
    LANES,
    LINE,
    WIDEST,
    groups_of,
    levels_of_token,
    pack_levels,
    unpacked,
    whole_numbers,
)

NARROW, WIDE = 127, 32512


def lines(dim, planes):
    """Return the lines of a packed block for one plane, or for the two of a float query."""
    if planes not in (1, 2):
        raise ValueError(f"planes is {planes}, expected 1 or 2")
    _check_bits(8, dim)
    return planes * groups_of(dim) + 2


@writes("packed")
def pack_query(tokens, packed):
    """Write query tokens as whole numbers; the lines of `packed` decide on one plane or two.

    Returns the flat index of the first non-finite value, or -1.
    """
    count, dim = tokens.shape
    _check_bits(8, dim)
    agree("packed", len(packed), "query in blocks", -(-count // LANES))
    _check_query(packed, count, dim, 8)
    found = first_nonfinite(tokens)
    if found >= 0:
        return found
    packed[:] = 0
    wide = packed.shape[1] > lines(dim, 1)
    limit = min(WIDE, 0x7FFFFFFF // (128 * max(dim, 1))) if wide else NARROW
    for i, token in enumerate(tokens):
        _pack_token(whole_numbers(token, limit), wide, packed[i // LANES], i % LANES)
    return -1


def _pack_token(numbers, wide, block, lane):
    planes = _planes(block, groups_of(len(numbers)))
    high = (numbers + 128) >> 8 if wide else numbers
    low = numbers - 256 * high
    for plane, part in zip(planes, (high, low)):
        rows = np.zeros(plane.shape[0] * 4, np.int8)
        rows[: len(part)] = part
        plane[:, lane] = rows.reshape(-1, 4)
    sums, norms = block[-2].view(np.int32), block[-1].view(F32)
    squares = int(np.square(numbers, dtype=np.int64).sum())
    sums[lane] = numbers.sum()
    norms[lane] = 1 / np.sqrt(float(squares)) if squares else 0


def _planes(block, groups):
    return block[:-2].reshape(-1, groups, LANES, 4) if groups else block[:0]


@writes("codes", "scales")
def encode_rows(values, bits, codes, scales):
    """Write each token's codes of 8, 4 or 2 bits and the scale that decodes them.

    Returns the flat index of the first non-finite value, or -1.
    """
    count, dim = values.shape
    _check_rows(codes, bits, dim, count, len(scales))
    if bits == 1:
        raise ValueError("signs are packed by kernels.bits")
    found = first_nonfinite(values)
    # Tokens before one that is not finite are written, as the compiled kernel does.
    rows = range((count if found < 0 else found // dim) if dim else 0)
    for i in rows:
        scales[i] = (_encode8 if bits == 8 else _encode_levels)(values[i], bits, codes[i])
    return found


def _encode8(token, bits, codes):
    peak = np.abs(token).max()
    if peak == 0:
        codes[:] = 0
        return 1
    if peak >= 2.0**-64:
        scale, lift, factor = peak / F32(127), F32(1), F32(127) / peak
    else:
        scale = F32(2.0 ** max(-149, np.ceil(np.log2(float(peak) / 127.0))))
        lift = F32(2.0**64)
        factor = F32(1 / (float(scale) * 2.0**64))
    codes[:] = np.rint(token * lift * factor).astype(np.int8).view(np.uint8)
    return scale


def _encode_levels(token, bits, codes):
    levels, scale = levels_of_token(token, bits)
    pack_levels(levels, bits, codes)
    return scale


@writes("values")
def decode_rows(codes, bits, scales, values):
    """Write each code's whole number times its token's scale."""
    _check_rows(codes, bits, values.shape[1], len(values), len(scales))
    values[:] = _numbers(codes, bits)[:, : values.shape[1]].astype(F32) * scales[:, None]


def _numbers(codes, bits):
    """The whole numbers codes stand for, padding included."""
    if bits == 8:
        return codes.view(np.int8).astype(np.int64)
    if bits == 1:
        return 2 * np.unpackbits(codes, axis=1).astype(np.int64) - 1
    shifts, top = bits * np.arange(8 // bits), 2**bits - 1
    found = 2 * (codes[:, :, None].astype(np.int64) >> shifts & top) - top
    return found.reshape(len(codes), codes.shape[1] * (8 // bits))


@writes("out")
def inverse_norms(codes, bits, dim, scales, out):
    """Write 1 / length of each token's whole numbers; NaN where these, or the scale, are zero."""
    _check_rows(codes, bits, dim, len(out), len(out if scales is None else scales))
    squares = np.square(_numbers(codes, bits)[:, :dim]).sum(axis=1).astype(float)
    if scales is not None:
        squares[scales == 0] = 0
    with np.errstate(divide="ignore"):
        out[:] = np.where(squares > 0, 1 / np.sqrt(squares), np.nan)


@writes("sums")
def score(packed, num_query, codes, bits, norms, starts, counts, sums):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `codes` from `starts` on; `norms` is what inverse_norms wrote.
    """
    _check_bits(bits, 0)
    groups = _check_query(packed, num_query, codes.shape[1], bits)
    check_documents(starts, counts, sums, len(codes))
    agree("norms", len(norms), "codes", len(codes))
    for i, (start, count) in enumerate(zip(starts, counts)):
        rows = slice(start, start + count)
        best, inverse = _best(packed, num_query, groups, codes[rows], bits, norms[rows])[1:]
        matched = np.where(best > -np.inf, best, 0).astype(float)
        sums[i] = _ordered_sum(matched * inverse)


@writes("best", "cosines")
def align(packed, num_query, codes, bits, norms, best, cosines):
    """Write the best row for each query token (lowest on ties) and its cosine, or -1 and 0."""
    _check_bits(bits, 0)
    groups = _check_query(packed, num_query, codes.shape[1], bits)
    agree("best", len(best), "query", num_query)
    agree("cosines", len(cosines), "query", num_query)
    agree("norms", len(norms), "codes", len(codes))
    where, highest, inverse = _best(packed, num_query, groups, codes, bits, norms)
    missed = (highest == -np.inf) | (inverse == 0)
    best[:] = np.where(missed, -1, where)
    cosines[:] = np.where(missed, 0, highest).astype(float) * inverse


def _best(packed, num_query, groups, codes, bits, norms):
    """The best token of each query token, its dot x norm, and the query token's inverse norm."""
    query = unpacked(packed, groups)[:num_query]
    inverse = packed[:, -1].view(F32).reshape(-1)[:num_query].astype(float)
    if not len(codes):
        return np.full(num_query, -1), np.full(num_query, -np.inf, F32), inverse
    numbers = _numbers(codes, bits)
    dots = query[:, : numbers.shape[1]] @ numbers[:, : query.shape[1]].T
    table = dots.astype(F32) * norms
    table[np.isnan(table)] = -np.inf
    return table.argmax(axis=1), table.max(axis=1), inverse


def _ordered_sum(values):
    """Blocks of lanes are summed one after another, in float64, and so are the lanes of each."""
    return sum((sum(values[start : start + LANES]) for start in range(0, len(values), LANES)), 0.0)


def _check_bits(bits, dim):
    if bits not in (8, 4, 2, 1):
        raise ValueError(f"bits is {bits}, expected 8, 4, 2 or 1")
    if not 0 <= dim <= WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")


def _check_rows(codes, bits, dim, count, others):
    _check_bits(bits, dim)
    agree("codes", len(codes), "values", count)
    agree("scales", others, "values", count)
    agree("a row of codes", codes.shape[1], "a token", -(-dim * bits // 8))


def _check_query(packed, num_query, width, bits):
    groups = 2 * -(-width // bits)
    agree("a line of packed", packed.shape[2], "the lanes", LINE)
    if packed.shape[1] not in (groups + 2, 2 * groups + 2):
        raise ValueError(
            f"a block of packed holds {packed.shape[1]} lines, tokens ask for {groups + 2}"
        )
    if not 0 <= num_query <= len(packed) * LANES:
        raise ValueError(f"query has {num_query} tokens, packed holds {len(packed) * LANES}")
    return groups
