"""Turns what callers have into token values and offsets, or says what is wrong with it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from cgcython import kernels
from cgcython.arrays import (
    as_float32,
    as_integers,
    as_tokens,
    concatenated,
    require_finite,
    shape_of,
    unmasked,
)
from cgcython.checks import iterated, require_whole
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.token_array.lookup import require_codebook
from cgcython.token_array.precision import Precision
from cgcython.token_array.precisions import PRECISIONS, precision_of
from cgcython.types import (
    Array,
    ArrayLike,
    BoolArray,
    CodebookLike,
    Float32Array,
    Int64Array,
    TokensLike,
)

# Types of other packages, by name so that those need not be imported.
NARROW_FLOATS = {"bfloat16": "bfloat16", "float8_e4m3fn": "e4m3"}


def joined(
    documents: Iterable[TokensLike], dim: int | None = None
) -> tuple[Float32Array, Int64Array]:
    """Return (values, offsets) of a list of matrices; empty ones may be of any dimension.

    An array [documents, tokens, dim] is shared, not copied. A generator may fill one buffer again
    and again. No value is checked to be finite.
    """
    if dim is not None:
        dim = require_whole(dim, "dim")
    if len(shape_of(documents) or ()) == 3:
        return _of_equal_lengths(as_float32(documents), dim)  # type: ignore[arg-type]  # an array
    each = iterated(documents, "documents", "a list of matrices")
    is_kept = isinstance(documents, (list, tuple, np.ndarray))
    matrices = []
    for document in each:
        matrix = as_tokens(document, dim, finite=False)
        matrices.append(matrix if is_kept else matrix.copy())
    offsets = np.cumsum([0, *map(len, matrices)], dtype=np.int64)
    matrices = [matrix for matrix in matrices if len(matrix)]
    width = matrices[0].shape[1] if matrices else dim or 0
    for matrix in matrices:
        if matrix.shape[1] != width:
            raise _mismatch(width, matrix.shape[1])
    return concatenated(matrices or [np.empty((0, width), np.float32)]), offsets


def _of_equal_lengths(values: Float32Array, dim: int | None) -> tuple[Float32Array, Int64Array]:
    count, longest, width = values.shape
    if dim not in (None, width):
        raise _mismatch(dim, width)
    return values.reshape(count * longest, width), np.arange(count + 1) * longest


def without_padding(
    values: ArrayLike, lengths: ArrayLike | None, mask: ArrayLike | None = None
) -> tuple[Float32Array, Int64Array]:
    """Return (values, offsets) of an array [documents, longest, dim] and its lengths or mask.

    A masked array brings its own mask. Raises DimensionMismatch and InvalidInput.
    """
    if isinstance(values, np.ma.MaskedArray) and lengths is mask is None:
        mask = ~np.ma.getmaskarray(values).all(axis=-1)
    if mask is not None:
        values = values.filled(0) if isinstance(values, np.ma.MaskedArray) else values
    if (lengths is None) == (mask is None):
        actual = "neither" if mask is None else "both"
        raise InvalidInput(what="padding", expected="lengths or a mask", actual=actual)
    padded = as_float32(values)
    if padded.ndim != 3:
        raise DimensionMismatch(expected=3, actual=padded.ndim, what="dimensions of the array")
    kept = _of_lengths(lengths, padded) if lengths is not None else _of_mask(mask, padded)
    return padded[kept], np.concatenate([[0], np.cumsum(kept.sum(axis=1), dtype=np.int64)])


def _of_lengths(lengths: ArrayLike, padded: Float32Array) -> BoolArray:
    """Return which tokens [documents, longest] are no padding."""
    counts = as_integers(lengths, "lengths")
    if counts.shape != padded.shape[:1]:
        raise DimensionMismatch(expected=len(padded), actual=counts.size, what="lengths")
    if np.any((counts < 0) | (counts > padded.shape[1])):
        expected = f"0 to {padded.shape[1]} tokens"
        raise InvalidInput(what="lengths", expected=expected, actual=counts)
    kept: BoolArray = np.arange(padded.shape[1]) < counts[:, None]
    return kept


def _of_mask(given: Any, padded: Float32Array) -> BoolArray:
    """Return a mask [documents, longest] of booleans, or of numbers 0 and 1, as booleans."""
    mask = as_float32(given)
    if mask.shape != padded.shape[:2]:
        expected, actual = list(padded.shape[:2]), list(mask.shape)
        raise InvalidInput(what="mask", expected=f"the shape {expected}", actual=actual)
    if not np.all((mask == 0) | (mask == 1)):
        raise InvalidInput(what="mask", expected="0 for padding, 1 for tokens", actual="others")
    kept: BoolArray = mask == 1
    return kept


def as_stored(values: Any, name: str | None = None, finite: bool = True) -> tuple[Array, Precision]:
    """Return (contiguous matrix, Precision): float32 unless the name or the type says otherwise."""
    if name is None:
        dtype = values.dtype if isinstance(values, np.ndarray) else np.dtype(np.float32)
        name = "e4m3" if dtype == np.uint8 else NARROW_FLOATS.get(dtype.name, "float32")
    precision = precision_of(name)
    is_float32 = precision.name == "float32"
    stored = as_float32(values) if is_float32 else _as_codes(values, precision)
    if stored.ndim != 2:
        raise DimensionMismatch(expected=2, actual=stored.ndim, what="dimensions of the array")
    if is_float32 and finite and kernels.dense.first_nonfinite(stored.reshape(-1)) >= 0:
        require_finite(stored)
    return stored, precision


def _as_codes(values: Any, precision: Precision) -> Array:
    dtype = np.dtype(precision.dtype)
    try:
        codes = np.asarray(unmasked(values, "codes"))
    except (TypeError, ValueError) as error:
        what = f"{precision.name} codes"
        raise InvalidInput(what=what, expected=dtype.name, actual=error) from None
    if NARROW_FLOATS.get(codes.dtype.name) == precision.name:
        codes = codes.view(dtype)
    if codes.dtype != dtype:
        what, actual = f"{precision.name} codes", codes.dtype.name
        raise InvalidInput(what=what, expected=dtype.name, actual=actual)
    return np.require(codes, requirements=["C", "A"])


def checked_dim(
    dim: int | None,
    width: int,
    precision: Precision,
    codebook: CodebookLike | None,
    values: bool = False,
) -> int:
    """Return the values per token, which is `dim` where it is given and fits."""
    if (codebook is not None) != (precision.name == "pq"):
        expected = "a codebook for pq, and for pq alone"
        raise InvalidInput(what="codebook", expected=expected, actual=precision.name)
    given = None if dim is None else require_whole(dim, "dim")
    if codebook is not None:
        require_codebook(codebook)
        expected_width, found = codebook.num_subvectors, codebook.embedding_dim
    else:
        found = width * precision.per_item if given is None else given
        expected_width = precision.width(found)
    if given not in (None, found):
        raise _mismatch(found, given)
    if precision.widest is not None and found > precision.widest:
        raise _mismatch(f"up to {precision.widest}", found)
    if width != expected_width and not values:
        raise DimensionMismatch(expected=expected_width, actual=width, what="items per token")
    return found


def checked_offsets(offsets: ArrayLike, total: int) -> Int64Array:
    """Return offsets as int64, ascending from 0 to at most `total`."""
    found = as_integers(offsets, "offsets")
    if found.ndim != 1 or len(found) == 0:
        raise InvalidInput(what="offsets", expected="documents + 1 numbers", actual=found)
    # Differences of numbers near 2**63 would wrap around.
    if found[0] < 0 or found[-1] > total or np.any(found[1:] < found[:-1]):
        raise InvalidInput(what="offsets", expected=f"0 to {total}, ascending", actual=found)
    return np.ascontiguousarray(found, np.int64)


def checked_scales(
    scales: ArrayLike | None, total: int, precision: Precision, finite: bool = True
) -> Float32Array | None:
    """Return scales as float32, one per token; None where they are not at hand."""
    if scales is None:
        return None
    if not precision.has_scales:
        known = ", ".join(one.name for one in PRECISIONS.values() if one.has_scales)
        raise InvalidInput(what="scales", expected=f"none but for {known}", actual=precision.name)
    found = as_float32(scales)
    if found.shape != (total,):
        raise DimensionMismatch(expected=total, actual=found.size, what="scales")
    if finite:
        require_finite(found)
    return found


def _mismatch(expected: Any, actual: Any) -> DimensionMismatch:
    return DimensionMismatch(expected=expected, actual=actual, what="values per token")
