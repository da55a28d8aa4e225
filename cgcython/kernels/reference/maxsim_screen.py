"""Late interaction through a screen, by definition: the results are those of `maxsim`."""

import numpy as np

from cgcython.kernels.reference import maxsim
from cgcython.kernels.reference.documents import check_documents
from cgcython.kernels.reference.door import agree, writes

LANES, LINE, EXTRA, WIDEST = 32, 128, 5, 4096
F32 = np.float32


def pays():
    """Return whether whole numbers are faster than float32 at this level."""
    return True


def lines(dim):
    """Return the lines of a block of `numbers`."""
    _require_width(dim)
    return 2 * -(-dim // 8) + EXTRA


@writes("codes", "bounds")
def encode_rows(values, norms, codes, bounds):
    """Write the side copy of tokens: int8 codes, and each one's step and radius.

    `norms` is what maxsim.inverse_norms wrote.
    """
    _check_side(values, norms, codes, bounds, values.shape[1])
    peaks = np.abs(values).max(axis=1, initial=F32(0))[:, None]
    plain = np.isfinite(norms) & (norms > 0)
    factors = np.divide(F32(127), peaks, out=np.zeros_like(peaks), where=plain[:, None])
    codes[:] = np.rint(values * factors).astype(np.int8).view(np.uint8)
    steps = np.where(plain, (peaks[:, 0] / F32(127)) * np.where(plain, norms, F32(0)), F32(0))
    units = values.astype(float) * np.where(plain, norms, 0)[:, None]
    offs = units - steps[:, None].astype(float) * codes.view(np.int8)
    radii = np.linalg.norm(offs, axis=1) * (1 + 1e-6)
    bounds[:, 0] = steps
    bounds[:, 1] = np.where(plain, radii, np.where(norms == 0, np.inf, np.nan))


@writes("rows", "numbers")
def pack_query(packed, rows, numbers):
    """Write what maxsim.pack_query packed as rows, and as whole numbers with their bounds."""
    dim = packed.shape[1]
    _check_query(packed, rows, numbers, 0)
    rows[:] = packed.transpose(0, 2, 1).reshape(rows.shape)
    peaks = np.abs(rows).max(axis=1, initial=F32(0))[:, None]
    factors = np.divide(F32(127), peaks, out=np.zeros_like(peaks), where=peaks > 0)
    whole = np.zeros((len(rows), 4 * (lines(dim) - EXTRA)), np.int64)
    whole[:, :dim] = np.rint(rows * factors)
    shape = (len(packed), LANES, lines(dim) - EXTRA, 4)
    planes = whole.reshape(shape).transpose(0, 2, 1, 3)
    numbers[:, :-EXTRA] = planes.reshape(len(packed), lines(dim) - EXTRA, LINE)
    parts = _reach(rows, whole, peaks[:, 0])
    for line, part in enumerate(parts):
        numbers[:, line - EXTRA] = part.reshape(-1, LANES).view(np.int8)


def _reach(rows, whole, peaks):
    """Each lane's sum, inverse norm, step, alpha and beta, as the compiled module says."""
    dim = rows.shape[1]
    steps = peaks / F32(127)
    squares = np.square(whole).sum(axis=1)
    norms = np.divide(1, np.sqrt(squares), out=np.zeros(len(rows)), where=squares > 0)
    radii = np.linalg.norm(rows - steps[:, None].astype(float) * whole[:, :dim], axis=1)
    lengths = np.linalg.norm(rows.astype(float), axis=1)
    slack = (2 * dim + 64) * 2.0**-24
    alphas, betas = radii * 1.0001 + slack, radii + lengths
    found = [whole.sum(axis=1).astype(np.int32), norms.astype(F32), steps]
    for part in (alphas, betas):
        off = np.divide(part * (1 + 1e-6), steps, out=np.zeros(len(rows)), where=steps > 0)
        found.append(off.astype(F32))
    return found


@writes("sums")
def score(packed, rows, numbers, num_query, values, norms, codes, bounds, starts, counts, sums):
    """Write what maxsim.score writes, and return how many dots were computed in float32."""
    _check_query(packed, rows, numbers, num_query)
    _check_side(values, norms, codes, bounds, packed.shape[1])
    maxsim.score(packed, num_query, values, norms, starts, counts, sums)
    return int(np.sum(counts)) * num_query


@writes("lower", "upper")
def bound(
    packed, rows, numbers, num_query, values, norms, codes, bounds, starts, counts, lower, upper
):
    """Write between which two numbers each document's score lies; only codes are read for that.

    A document whose upper one is below the k-th highest lower one is not among the k best.
    """
    _check_query(packed, rows, numbers, num_query)
    _check_side(values, norms, codes, bounds, packed.shape[1])
    check_documents(starts, counts, lower, len(values))
    agree("upper", len(upper), "lower", len(lower))
    steps, alphas, betas = (_lane_parts(numbers, line)[:num_query] for line in (-3, -2, -1))
    tokens = codes.view(np.int8).astype(float) * bounds[:, :1]
    estimates = _whole_rows(numbers, packed.shape[1])[:num_query] @ tokens.T
    with np.errstate(invalid="ignore"):
        off = betas[:, None] * np.nan_to_num(bounds[:, 1], posinf=np.inf) + alphas[:, None]
        low, high = (estimates - off) * steps[:, None], (estimates + off) * steps[:, None]
    none = np.isnan(bounds[:, 1]) | (steps[:, None] == 0)
    low, high = np.where(none, -np.inf, low), np.where(none, -np.inf, high)
    for i, (start, count) in enumerate(zip(starts, counts)):
        lower[i], upper[i] = _widened(low, high, slice(start, start + count))


def _widened(low, high, rows):
    best = high[:, rows].max(axis=1, initial=-np.inf)
    matched = best > -np.inf
    least = float(low[matched, rows].max(axis=1, initial=-np.inf).sum())
    most = float(best[matched].sum())
    return least - 1e-6 * (1 + abs(least)), most + 1e-6 * (1 + abs(most))


def _lane_parts(numbers, line):
    return np.ascontiguousarray(numbers[:, line]).view(F32).reshape(-1).astype(float)


def _whole_rows(numbers, dim):
    shape = (len(numbers), lines(dim) - EXTRA, LANES, 4)
    planes = numbers[:, :-EXTRA].reshape(shape).transpose(0, 2, 1, 3)
    return planes.reshape(len(numbers) * LANES, 4 * (lines(dim) - EXTRA))[:, :dim].astype(float)


@writes("best", "cosines")
def align(packed, rows, numbers, num_query, values, norms, codes, bounds, best, cosines):
    """Write what maxsim.align writes."""
    _check_query(packed, rows, numbers, num_query)
    _check_side(values, norms, codes, bounds, packed.shape[1])
    maxsim.align(packed, num_query, values, norms, best, cosines)


def _check_query(packed, rows, numbers, num_query):
    dim = packed.shape[1]
    _require_width(dim)
    agree("a line of packed", packed.shape[2], "the lanes", LANES)
    agree("rows", len(rows), "packed", len(packed) * LANES)
    agree("a row", rows.shape[1], "a block of packed", dim)
    agree("numbers", len(numbers), "packed", len(packed))
    agree("a block of numbers", numbers.shape[1], "its lines", lines(dim))
    agree("a line of numbers", numbers.shape[2], "four dimensions of all lanes", LINE)
    if not 0 <= num_query <= len(packed) * LANES:
        raise ValueError(f"query has {num_query} tokens, packed holds {len(packed) * LANES}")


def _require_width(dim):
    if not 0 <= dim <= WIDEST:
        raise ValueError(f"a token holds {dim}, expected up to {WIDEST}")


def _check_side(values, norms, codes, bounds, dim):
    agree("a row of values", values.shape[1], "a query token", dim)
    agree("norms", len(norms), "values", len(values))
    agree("codes", len(codes), "values", len(values))
    agree("a row of codes", codes.shape[1], "a row of values", values.shape[1])
    agree("bounds", len(bounds), "values", len(values))
    agree("a row of bounds", bounds.shape[1], "step and radius", 2)
