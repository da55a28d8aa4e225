"""Takes the embeddings of one embedder as callers have them, and says which records have one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cgcython.arrays import as_array, as_float32, concatenated
from cgcython.base import Embedder
from cgcython.checks import require_items
from cgcython.codecs import sparse_forms as sparse
from cgcython.codecs.base import InputKind, codec_class
from cgcython.errors import DimensionMismatch, InvalidInput, QuantizationError
from cgcython.inputs import packages
from cgcython.inputs.arrow import from_arrow
from cgcython.inputs.columns import Column, DenseColumn, SparseColumn, TokenColumn, kind_of
from cgcython.narrow_floats import Rows
from cgcython.token_array import TokenArray
from cgcython.token_array.building import joined
from cgcython.types import Array, Int64Array

_PADDING = ("mask", "lengths")


class Taken(NamedTuple):
    """The embeddings of one embedder, and the record of each.

    `rows` is ascending; None means that every record has one. `num_records` counts all.
    """

    column: Column
    rows: Int64Array | None
    num_records: int

    def within(self, start: int, stop: int) -> tuple[int, int]:
        """Return the range of embeddings that belong to records start to stop."""
        if self.rows is None:
            return start, stop
        first, last = np.searchsorted(self.rows, (start, stop)).tolist()
        return first, last

    def records(self, first: int, last: int) -> Int64Array:
        """Return the numbers of the records that embeddings first to last belong to."""
        return np.arange(first, last) if self.rows is None else self.rows[first:last]


def take(values: Any, row: Embedder) -> Taken:
    """Return the embeddings that something holds, for an embedder of a profile.

    Dense: a matrix [n, dim] or a list of vectors. Sparse: a matrix of scipy or torch, a list of
    SparseVectors or of `{index: weight}`. Tokens: a TokenArray, a list of matrices, an array
    [n, longest, dim], alone or in a tuple with its mask or lengths. All as NumPy, torch, pandas,
    polars or pyarrow have them, or a mapping of the parts that files name (`indptr`, `indices`,
    `weights`; `values`, `offsets`; `values`, `mask`). None in a list, a null of a column, and a row
    of a masked array without any value are records that have no such embedding.

    Raises DimensionMismatch, InvalidInput and NonFiniteValue, naming the embedder.
    """
    try:
        column, rows, count = _taken(packages.unpacked(values), row)
        column.check_dimension(row.dimension)
    except QuantizationError as error:
        error.about(row.model_id)
        raise
    return Taken(column, rows, len(column) if count is None else count)


def _taken(values: Any, row: Embedder) -> tuple[Column, Int64Array | None, int | None]:
    kind, dim = codec_class(row.method).inputs, row.dimension
    if packages.is_arrow(values):
        return *from_arrow(values, kind, dim), len(values)
    if isinstance(values, Mapping):
        return _of_parts(values, kind, kind_of(row.method)), None, None
    if isinstance(values, np.ma.MaskedArray):
        return *_unmasked(values, kind), len(values)
    if isinstance(values, np.ndarray) and values.dtype.kind == "O" and values.ndim:
        values = list(values)
    if _is_list(values):
        values = require_items(values, "embeddings")
        rows = [i for i, one in enumerate(values) if not packages.is_missing(one)]
        if len(rows) < len(values):
            column = _TAKERS[kind]([values[i] for i in rows], dim)
            return column, np.array(rows, np.int64), len(values)
    return _TAKERS[kind](values, dim), None, None


def _is_list(values: Any) -> bool:
    """Return whether something is a list of embeddings, or yields them."""
    if isinstance(values, tuple) and len(values) == 2 and np.ndim(values[0]) == 3:
        return False  # padded tokens and their mask
    is_array = hasattr(values, "__array__") or hasattr(values, "detach")
    return not is_array and not isinstance(values, TokenArray) and not sparse.is_sparse(values)


def _dense(values: Any, dim: int) -> DenseColumn:
    if sparse.is_sparse(values):
        raise InvalidInput(
            what="embeddings",
            expected="a dense matrix; call .toarray() or .to_dense()",
            actual=f"a sparse {type(values).__name__}",
        )
    if isinstance(values, list):
        vectors = [_vector(one, place, dim) for place, one in enumerate(values)]
        return DenseColumn(concatenated(vectors) if vectors else np.empty((0, dim), np.float32))
    return DenseColumn(_as_rows(values))


def _vector(one: Any, place: int, dim: int) -> Array:
    """Return a vector of a list as a matrix of one row."""
    vector = as_float32(packages.unpacked(one))
    if vector.shape != (dim,):
        what = "values" if vector.ndim == 1 else "dimensions of the array"
        expected, actual = (dim, vector.size) if vector.ndim == 1 else (1, vector.ndim)
        error = DimensionMismatch(expected=expected, actual=actual, what=what)
        error.add_note(f"(row {place})")
        raise error
    return vector[None]


def _as_rows(values: Any) -> Rows:
    """Return an array that is left where it lies; a tensor of torch as float32."""
    if isinstance(values, np.ndarray) or hasattr(values, "bits"):
        return values  # type: ignore[no-any-return]  # one of the two kinds of Rows
    return as_float32(values) if hasattr(values, "detach") else as_array(values, "embeddings")


def _sparse(values: Any, dim: int) -> SparseColumn:
    if sparse.is_sparse(values):
        rows = sparse.from_matrix(values)
    elif isinstance(values, list):
        rows = sparse.from_vectors(values, dim)
    else:
        raise InvalidInput(
            what="embeddings",
            actual=type(values).__name__,
            expected="sparse rows; of a dense matrix scipy.sparse.csr_array(matrix)",
        )
    if rows.dimension not in (None, dim):
        raise DimensionMismatch(expected=dim, actual=rows.dimension)
    return SparseColumn(rows.indptr, rows.indices, rows.weights)


def _tokens(values: Any, dim: int) -> TokenColumn:
    if isinstance(values, tuple):
        padded, mask = values
        name = "lengths" if np.ndim(mask) == 1 else "mask"
        values = TokenArray.from_padded(padded, **{name: mask})
    if isinstance(values, TokenArray):
        values.require_values()
        whole = values.compact()
        return TokenColumn(whole.values, whole.offsets)
    if not isinstance(values, list) and np.ndim(values) != 3:
        expected = "a list of matrices, a TokenArray or an array [n, longest, dim] with its mask"
        actual = f"{type(values).__name__} of {np.ndim(values)} dimensions"
        raise InvalidInput(what="embeddings", expected=expected, actual=actual)
    documents = [packages.unpacked(one) for one in values] if isinstance(values, list) else values
    tokens, offsets = joined(documents, dim)
    return TokenColumn(tokens.reshape(-1, dim) if not len(tokens) else tokens, offsets)


_TAKERS: dict[InputKind, Callable[[Any, int], Column]] = {
    InputKind.DENSE: _dense,
    InputKind.SPARSE: _sparse,
    InputKind.TOKENS: _tokens,
}


def _unmasked(values: Any, kind: InputKind) -> tuple[Column, Int64Array | None]:
    """Return the rows of a masked array that have a value; all of it, or of tokens some."""
    mask = np.ma.getmaskarray(values)
    if kind is InputKind.TOKENS and values.ndim == 3:
        tokens = TokenArray.from_padded(values)
        return TokenColumn(tokens.values, tokens.offsets), None
    if values.ndim != 2:
        raise DimensionMismatch(expected=2, actual=values.ndim, what="dimensions of the array")
    rows = np.flatnonzero(~mask.all(axis=1))
    partly = rows[mask[rows].any(axis=1)]
    if len(partly):
        expected = "rows masked as a whole; fill single values, as array.filled(0) does"
        actual = f"row {partly[0]} masked in part"
        raise InvalidInput(what="embeddings", expected=expected, actual=actual)
    if kind is not InputKind.DENSE:
        return _sparse(values, values.shape[1]), None
    whole = len(rows) == len(values)
    return DenseColumn(values.data if whole else values.data[rows]), None if whole else rows


def _of_parts(parts: Mapping[str, Any], kind: InputKind, column: Callable[..., Column]) -> Column:
    """Return the column of parts by the names that files have for them."""
    names: Sequence[str] = column.parts  # type: ignore[attr-defined]  # all kinds of columns have
    given = {name: _as_rows(packages.unpacked(one)) for name, one in parts.items()}
    if kind is InputKind.TOKENS and set(given) in ({"values", "mask"}, {"values", "lengths"}):
        (padding,) = given.keys() & set(_PADDING)
        tokens = TokenArray.from_padded(given["values"], **{padding: given[padding]})
        given = {"values": tokens.values, "offsets": tokens.offsets}
    if set(given) != set(names):
        expected, actual = ", ".join(names), ", ".join(map(str, given)) or "none"
        raise InvalidInput(what="parts", expected=expected, actual=actual)
    return column(*(given[name] for name in names))
