"""Turns what callers have into token values and offsets, or says what is wrong with it."""

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, as_tokens, require_finite
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.token_array.precisions import PRECISIONS, precision_of

# Types of other packages, by name so that those need not be imported.
NARROW_FLOATS = {"bfloat16": "bfloat16", "float8_e4m3fn": "e4m3"}


def joined(documents, dim=None):
    """Return (values, offsets) of a list of matrices; empty ones may be of any dimension.

    An array [documents, tokens, dim] is shared, not copied. No value is checked to be finite.
    """
    if getattr(documents, "ndim", None) == 3:
        values = as_float32(documents)
        count, longest, width = values.shape
        if dim not in (None, width):
            raise DimensionMismatch(expected=dim, actual=width, what="values per token")
        return values.reshape(count * longest, width), np.arange(count + 1) * longest
    matrices = [as_tokens(document, dim, finite=False) for document in documents]
    offsets = np.cumsum([0, *map(len, matrices)], dtype=np.int64)
    matrices = [matrix for matrix in matrices if len(matrix)]
    dim = matrices[0].shape[1] if matrices else dim or 0
    for matrix in matrices:
        if matrix.shape[1] != dim:
            raise DimensionMismatch(expected=dim, actual=matrix.shape[1], what="values per token")
    return np.concatenate(matrices or [np.empty((0, dim), np.float32)]), offsets


def without_padding(values, lengths):
    """Return (values, offsets) of an array [documents, longest, dim] and its lengths."""
    values, lengths = as_float32(values), np.asarray(lengths)
    if values.ndim != 3:
        raise DimensionMismatch(expected=3, actual=values.ndim, what="dimensions of the array")
    if lengths.shape != values.shape[:1]:
        raise DimensionMismatch(expected=len(values), actual=lengths.size, what="lengths")
    if lengths.dtype.kind not in "ui" or np.any((lengths < 0) | (lengths > values.shape[1])):
        expected = f"0 to {values.shape[1]} tokens"
        raise InvalidInput(what="lengths", expected=expected, actual=lengths)
    kept = np.arange(values.shape[1]) < lengths[:, None]
    return values[kept], np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def as_stored(values, name=None, finite=True):
    """Return (contiguous values, Precision): float32 unless the name or the type says otherwise."""
    if name is None:
        dtype = values.dtype if isinstance(values, np.ndarray) else None
        name = "e4m3" if dtype == np.uint8 else NARROW_FLOATS.get(getattr(dtype, "name", None))
    precision = precision_of(name or "float32")
    if precision.name == "float32":
        values = as_float32(values)
        if finite and kernels.dense.first_nonfinite(values.reshape(-1)) >= 0:
            require_finite(values)
        return values, precision
    values = np.asarray(values)
    if NARROW_FLOATS.get(values.dtype.name) == precision.name:
        values = values.view(precision.dtype)
    if values.dtype != precision.dtype:
        raise InvalidInput(
            what=f"{precision.name} codes",
            expected=np.dtype(precision.dtype).name,
            actual=values.dtype.name,
        )
    return np.require(values, requirements=["C", "A"]), precision


def checked_dim(dim, width, precision, codebook, values=False):
    """Return the values per token, which is `dim` where it is given and fits."""
    if (codebook is not None) != (precision.name == "pq"):
        expected = "a codebook for pq, and for pq alone"
        raise InvalidInput(what="codebook", expected=expected, actual=precision.name)
    if codebook is not None:
        expected, actual = codebook.num_subvectors, width
        found = codebook.embedding_dim
    else:
        found = width * precision.per_item if dim is None else dim
        expected, actual = precision.width(found), width
    if found != (found if dim is None else dim):
        raise DimensionMismatch(expected=found, actual=dim, what="values per token")
    if precision.widest is not None and found > precision.widest:
        raise DimensionMismatch(
            expected=f"up to {precision.widest}", actual=found, what="values per token"
        )
    if actual != expected and not values:
        raise DimensionMismatch(expected=expected, actual=actual, what="items per token")
    return int(found)


def checked_offsets(offsets, total):
    """Return offsets as int64, ascending from 0 to at most `total`."""
    offsets = np.asarray(offsets)
    if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype.kind not in "ui":
        raise InvalidInput(what="offsets", expected="documents + 1 numbers", actual=offsets)
    offsets = np.ascontiguousarray(offsets, np.int64)
    # Differences of numbers near 2**63 would wrap around.
    if offsets[0] < 0 or offsets[-1] > total or np.any(offsets[1:] < offsets[:-1]):
        raise InvalidInput(what="offsets", expected=f"0 to {total}, ascending", actual=offsets)
    return offsets


def checked_scales(scales, total, precision, finite=True):
    """Return scales as float32, one per token; None where they are not at hand."""
    if scales is None:
        return None
    if not precision.has_scales:
        known = ", ".join(one.name for one in PRECISIONS.values() if one.has_scales)
        raise InvalidInput(what="scales", expected=f"none but for {known}", actual=precision.name)
    scales = as_float32(scales)
    if scales.shape != (total,):
        raise DimensionMismatch(expected=total, actual=scales.size, what="scales")
    if finite:
        require_finite(scales)
    return scales
