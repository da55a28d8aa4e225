"""Batches whose columns come from a file: checked against what their method declares of them."""

from collections.abc import Mapping
from math import isfinite
from typing import Any, get_type_hints

import numpy as np

from cgcython import methods
from cgcython.base import QuantizationMethod
from cgcython.records.batch import QuantizedBatch
from cgcython.tensors import Malformed, require_arrays
from cgcython.types import Array

MOST_VALUES = 2**32 - 1  # of an embedding, as a section can say


def stored_batch(about: Any, columns: Mapping[str, Array], rows: Any) -> QuantizedBatch:
    """Return the batch of some rows that a file has, the columns checked but not decoded.

    `about` is the object of `method`, `dimension` and `shared`, as JSON holds them. Raises
    Malformed, and InvalidInput for an unknown method.
    """
    if type(about) is not dict or about.keys() != {"method", "dimension", "shared"}:
        raise Malformed("it does not say method, dimension and shared")
    dimension, shared = about["dimension"], about["shared"]
    if type(dimension) is not int or not 1 <= dimension <= MOST_VALUES:
        raise Malformed(f"its dimension is {dimension!r:.40}")
    if type(rows) is not int or rows < 0:
        raise Malformed(f"it has {rows!r:.40} rows")
    if type(about["method"]) is not str:
        raise Malformed(f"its method is {about['method']!r:.40}")
    method = QuantizationMethod(about["method"])
    codec = methods.declaration(method.value)
    if type(shared) is not dict:
        raise Malformed(f"its rows share {shared!r:.40}")
    _require_shared(codec, shared)
    columns = require_arrays(columns, codec.columns, _axes(dimension, shared, rows))
    if codec.ragged:
        _require_offsets(columns["offsets"], len(columns["data"]))
    batch = QuantizedBatch(method, dimension, columns, shared)
    if len(batch) != rows:
        raise Malformed(f"its columns have {len(batch)} rows, expected {rows}")
    return batch


def _axes(dimension: int, shared: Mapping[str, Any], rows: int) -> dict[str, int]:
    """Return the lengths that the columns of a method may name."""
    counts = {name: one for name, one in shared.items() if type(one) is int}
    return {**counts, "rows": rows, "ends": rows + 1, "dim": dimension, "bits": -(-dimension // 8)}


def _require_shared(codec: methods.Declaration, shared: Mapping[str, Any]) -> None:
    if shared.keys() != set(codec.shared):
        raise Malformed(f"its rows share {', '.join(sorted(shared)) or 'nothing'}")
    kinds = get_type_hints(codec.layouts[0].kind)
    names = {one.name for one in codec.layouts}
    for name, value in shared.items():
        fits = type(value) is kinds[name] or (kinds[name] is float and type(value) is int)
        if not fits or (name == "layout" and value not in names):
            raise Malformed(f"its rows share the {name} {value!r:.40}")
        if kinds[name] is float and not isfinite(value):
            raise Malformed(f"its rows share the {name} {value!r:.40}")


def _require_offsets(offsets: Array, size: int) -> None:
    if offsets.ndim != 1 or len(offsets) == 0 or offsets.dtype != np.int64:
        raise Malformed(f"its offsets are {offsets.dtype} {offsets.shape}")
    if offsets[0] != 0 or offsets[-1] != size or np.any(offsets[1:] < offsets[:-1]):
        raise Malformed("its offsets are not those of its data")
