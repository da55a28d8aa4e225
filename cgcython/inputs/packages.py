"""Tables and columns of pandas, polars and pyarrow, known by what they offer; none is imported."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cgcython.checks import require_items


def package_of(value: object) -> str:
    """Return the name of the package that a value's class comes from.

    >>> package_of(5)
    'builtins'
    """
    return type(value).__module__.partition(".")[0]


def is_table(value: object) -> bool:
    """Return whether something is a DataFrame of pandas or polars, or an Arrow table or batch."""
    name = type(value).__name__
    match package_of(value):
        case "pandas" | "polars":
            return name == "DataFrame"
        case "pyarrow":
            return name in ("Table", "RecordBatch")
    return False


def columns_of(table: Any) -> dict[str, Any]:
    """Return the columns of a table by name."""
    if package_of(table) == "pyarrow":
        return dict(zip(table.column_names, table.columns))
    return {str(name): table[name] for name in table.columns}


def unpacked(values: Any) -> Any:
    """Return a column or matrix of another package as an Arrow column, an array or a list.

    Anything else comes back as it is.
    """
    match package_of(values), type(values).__name__:
        case (("pandas" | "polars"), "DataFrame"):
            return values.to_numpy()
        case "pandas", _ if hasattr(values, "to_numpy"):
            return _of_pandas(values)
        case "polars", "Series":
            return values.to_arrow() if _has_arrow() else values.to_list()
    return values


def is_arrow(values: object) -> bool:
    """Return whether something is a column of pyarrow."""
    return package_of(values) == "pyarrow" and hasattr(values, "null_count")


def as_list(values: Any, what: str = "column") -> list[Any]:
    """Return a column or array as a list of Python's values, None where one is missing.

    Raises InvalidInput, naming `what`, for what has no items.
    """
    values = unpacked(values)
    if is_arrow(values):
        found: list[Any] = values.to_pylist()
        return found
    if isinstance(values, np.ndarray) and values.ndim:
        values = values.tolist()
    return [None if is_missing(one) else one for one in require_items(values, what, "a column")]


def is_missing(value: object) -> bool:
    """Return whether a value stands for none: None, or what pandas has in its place.

    >>> is_missing(None), is_missing(float("nan")), is_missing(0.0)
    (True, True, False)
    """
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return True
    return isinstance(value, float) and value != value


def records_of(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table, or of a mapping of columns, without what is missing in them."""
    columns: Mapping[str, Any] = columns_of(table) if is_table(table) else table
    names, lists = list(map(str, columns)), [as_list(one) for one in columns.values()]
    return [{name: one for name, one in zip(names, row) if one is not None} for row in zip(*lists)]


def _of_pandas(values: Any) -> Any:
    """Return an Arrow column where pandas keeps one, an array of numbers, or a list of objects."""
    if type(values.dtype).__name__ == "ArrowDtype":
        import pyarrow as pa

        return pa.chunked_array(values.array.__arrow_array__())
    array = values.to_numpy()
    return list(array) if array.dtype.kind == "O" else array


def _has_arrow() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None
