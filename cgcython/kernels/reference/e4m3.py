"""E4M3 by definition: the nearest of 127 magnitudes, ties to the even code."""

import math

import numpy as np

from cgcython.kernels.reference.door import (
    agree,
    first_nonfinite,
    plain_out,
    plain_vector,
    require_apart,
    rows_agree,
    vector_out,
    writes,
)

CODES = np.arange(127)
_WIDEST = 4096  # dimensions that fit the scratch of cosine_rows_at
MAGNITUDES = np.where(CODES < 8, CODES * 2.0**-9, (8 + CODES % 8) * 2.0 ** (CODES // 8 - 10))
MIDPOINTS = (MAGNITUDES[:-1] + MAGNITUDES[1:]) / 2
PEAK = np.float32(448)
VALUES = np.concatenate([MAGNITUDES, [np.nan], -MAGNITUDES, [-np.nan]]).astype(np.float32)
SMALL_PEAK = np.float32(2.0**-118)  # below it 448 / peak may overflow
SMALLEST = 2.0**-149  # of float32; a scale of fewer than 16 of them is a power of two


@writes("codes")
def encode(values, codes):
    """Write the E4M3 code of each value."""
    agree("codes", codes.shape[0], "values", values.shape[0])
    codes[:] = _codes(values)


@writes("values")
def decode(codes, scale, bias, values):
    """Write code * scale + bias for each code."""
    agree("values", values.shape[0], "codes", codes.shape[0])
    # Adding -0.0 changes nothing, where adding 0.0 would lose the sign of -0.0.
    values[:] = VALUES[codes].astype(np.float64) * np.float32(scale) + (np.float32(bias) or -0.0)


@writes("codes", "scales")
def encode_rows(values, codes, scales):
    """Write each row's scaled codes and its scale; return the first non-finite index, or -1."""
    rows_agree("codes", codes, "values", values)
    agree("scales", scales.shape[0], "values", values.shape[0])
    bad = first_nonfinite(values)
    if bad < 0:
        for i, row in enumerate(values):
            scales[i], codes[i] = _encode_scaled(row)
    return bad


@writes("values")
def decode_rows(codes, scales, values):
    """Write each row's codes times its scale."""
    rows_agree("values", values, "codes", codes)
    agree("scales", scales.shape[0], "codes", codes.shape[0])
    with np.errstate(all="ignore"):  # as compiled kernels do
        values[:] = VALUES[codes] * scales[:, None]


def encode_vector(values, dim, out=None):
    """Return (codes, scale) of one vector: new bytes, or `out`, a plain u8 array.

    Returns None where a closer look at either is needed.
    """
    if not plain_vector(values, dim) or not (out is None or plain_out(out, dim)):
        return None
    if out is not None:
        require_apart("out", out, "values", values)
    scale, codes = _encode_scaled(values)
    if out is None:
        return codes.tobytes(), float(scale)
    out[:] = codes
    return out, float(scale)


def decode_vector(codes, scale, bias, out=None):
    """Return code * scale + bias for each byte, as a new array or in `out`.

    Returns None where `out` is no plain, writable float32 array as long as the codes.
    """
    values = vector_out(out, len(codes))
    if values is not None:
        decode(np.frombuffer(codes, np.uint8), scale, bias, values)
    return values


@writes("out")
def cosine_rows(query, codes, inverse_norms, out):
    """Write the cosine of the query with each decoded row; 0 where either is zero."""
    _check_scan(query, codes, out)
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    rows, query = VALUES[codes].astype(np.float64), query.astype(np.float64)
    norm = np.sqrt((query**2).sum())
    out[:] = rows @ query * inverse_norms / (norm or 1)


@writes("out")
def cosine_rows_at(query, codes, inverse_norms, rows, out):
    """Write what cosine_rows does of some rows, in any order, of up to 4096 dimensions."""
    agree("a row of codes", codes.shape[1], "query", query.shape[0])
    agree("out", out.shape[0], "rows", rows.shape[0])
    agree("inverse_norms", inverse_norms.shape[0], "codes", codes.shape[0])
    if len(query) > _WIDEST:
        raise ValueError(f"query holds {len(query)}, expected up to {_WIDEST}")
    for row in rows.tolist():
        if not 0 <= row < len(codes):
            raise ValueError(f"row {row} is not among {len(codes)}")
    cosine_rows(query, codes[rows], inverse_norms[rows], out)


@writes("out")
def inverse_norms(codes, out):
    """Write one over the length of each row of codes' values, 0 for a length of 0."""
    agree("out", out.shape[0], "codes", codes.shape[0])
    norms = np.sqrt((VALUES[codes].astype(np.float64) ** 2).sum(axis=1))
    out[:] = np.divide(1, norms, out=np.zeros(len(norms)), where=norms != 0)


@writes("out")
def dot_rows(query, codes, scales, out):
    """Write the dot product of the query with each decoded row."""
    _check_scan(query, codes, out)
    agree("scales", scales.shape[0], "codes", codes.shape[0])
    out[:] = VALUES[codes].astype(np.float64) @ query.astype(np.float64) * scales


def _check_scan(query, codes, out):
    agree("a row of codes", codes.shape[1], "query", query.shape[0])
    agree("out", out.shape[0], "codes", codes.shape[0])


def _codes(values):
    with np.errstate(invalid="ignore"):  # NaN of either kind is a value here
        size = np.abs(values.astype(np.float64))
    below = np.searchsorted(MIDPOINTS, size)
    is_tie = (below < len(MIDPOINTS)) & (size == MIDPOINTS[np.minimum(below, len(MIDPOINTS) - 1)])
    code = np.where(np.isnan(size), 0x7F, below + (is_tie & (below % 2 == 1)))
    return (code | np.signbit(values) << 7).astype(np.uint8)


def _encode_scaled(row):
    peak = np.abs(row).max(initial=np.float32(0))
    if peak == 0:
        return np.float32(1), _codes(row)
    if peak < SMALL_PEAK:
        scale = _small_scale(float(peak) / 448)
        raised = row * np.float32(2.0**64)
        return scale, _codes(raised * np.float32(2.0**-64 / float(scale)))
    with np.errstate(under="ignore"):
        return peak / PEAK, _codes(row * (PEAK / peak))


def _small_scale(scale):
    """Return the scale of a tiny row in float32: the power of two above where it has few bits."""
    if scale < 16 * SMALLEST:
        fraction, exponent = math.frexp(scale)
        scale = 2.0 ** max(-149, exponent - (fraction == 0.5))
    with np.errstate(under="ignore"):
        return np.float32(scale)
