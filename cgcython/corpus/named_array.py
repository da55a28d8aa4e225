"""Reads the one array that an argument names."""

import numpy as np

from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.beside import has_columns, side_by_side
from cgcython.corpus.specs import split_file
from cgcython.errors import UsageError
from cgcython.types import Array


def named_array(text: str) -> Array:
    """Return the array that `FILE[:ARRAY]` names, the first one without a name.

    Of a table, columns of numbers are put side by side: those that are named, or the first three.
    """
    path, names, _ = split_file(text)
    arrays = open_arrays(path)
    if has_columns(arrays):
        return side_by_side(arrays, names)
    name = names[0] if names else next(iter(arrays), ONLY)
    if name not in arrays:
        raise UsageError(f"{text}: {path} has {', '.join(arrays)}")
    return np.asarray(arrays[name])  # what lies at a URL is read
