"""The keys of records in arrays: 16 bytes each."""

from collections.abc import Sequence

import numpy as np

from cgcython.checks import require_items
from cgcython.store.ids import as_key
from cgcython.types import KeyArray

KEY = np.dtype("S16")


def key_array(keys: Sequence[bytes]) -> KeyArray:
    """Return the array of some keys, in their order."""
    return np.array(keys, KEY)


def whole_keys(keys: KeyArray) -> list[bytes]:
    """Return the 16 bytes of each key of an array, which drops zeros at an end."""
    return [key.ljust(KEY.itemsize, b"\0") for key in keys.tolist()]


def keys_of(ids: object) -> KeyArray:
    """Return the keys of ids, ascending and each once. Raises InvalidInput."""
    given = require_items(ids, "among", "ids, in a set or a list")
    return np.unique(np.array([as_key(one) for one in given], KEY))
