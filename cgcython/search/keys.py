"""The keys of records in arrays.

NumPy strips zeros from the end of what it keeps in an `S` array, so a key has one 0x01 behind it
there: different keys stay different. Arrays are in the order of that form, which is another one
than that of the keys where zeros end a key.
"""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

import numpy as np

from cgcython.checks import require_items
from cgcython.store.ids import UUID_BYTES, as_key
from cgcython.tensors import Malformed
from cgcython.types import Array, KeyArray

END = b"\1"
NO_KEYS: KeyArray = np.empty(0, f"S{UUID_BYTES + len(END)}")


def key_array(keys: Sequence[bytes]) -> KeyArray:
    """Return the array of some keys, in their order.

    >>> key_array([b"\\x03a", b"\\x03a\\0"]).tolist()
    [b'\\x03a\\x01', b'\\x03a\\x00\\x01']
    """
    if set(map(len, keys)) == {UUID_BYTES}:  # faster: nothing has to be measured
        return np.frombuffer(END.join([*keys, b""]), NO_KEYS.dtype)
    return np.array([key + END for key in keys]) if keys else NO_KEYS


def whole_keys(keys: KeyArray) -> list[bytes]:
    """Return the keys in an array."""
    return [key[:-1] for key in keys.tolist()]


def sorted_keys(keys: Sequence[bytes]) -> KeyArray:
    """Return the array of some keys, ascending as arrays do."""
    return np.sort(key_array(keys))


def keys_of(ids: object) -> KeyArray:
    """Return the keys of ids, ascending and each once; UUIDs may be rows of bytes, u8 [n, 16].

    Raises InvalidInput.
    """
    if isinstance(ids, np.ndarray) and ids.dtype == np.uint8 and ids.shape[1:] == (UUID_BYTES,):
        return _each_once(_keys_of_rows(ids))
    given: list[object] = require_items(ids, "among", "ids, in a set or a list")
    if set(map(type, given)) == {UUID}:  # faster: their attribute is computed by Python
        uuids = cast(list[UUID], given)
        keys = [one.int.to_bytes(UUID_BYTES, "big") for one in uuids]
    else:
        keys = list(map(as_key, given))  # type: ignore[arg-type]  # it checks
    return _each_once(key_array(keys))


def _keys_of_rows(rows: Array) -> KeyArray:
    padded = np.pad(rows, [(0, 0), (0, 1)], constant_values=END[0])
    return padded.reshape(-1).view(NO_KEYS.dtype)


def _each_once(keys: KeyArray) -> KeyArray:
    """Return keys ascending and each once; `np.unique` is slower for bytes."""
    ascending = np.sort(keys)
    new = np.ones(len(keys), np.bool_)
    new[1:] = ascending[1:] != ascending[:-1]
    return ascending[new]


def found_among(keys: KeyArray, wanted: KeyArray) -> tuple[Array, Array]:
    """Return where each of some keys is among one or more that ascend, and whether it is there."""
    # In the width of the many: numpy would otherwise copy them all into that of a longer key,
    # which is none of them.
    narrow = wanted.astype(keys.dtype) if wanted.itemsize > keys.itemsize else wanted
    places = np.minimum(keys.searchsorted(narrow), len(keys) - 1)
    return places, keys[places] == wanted


def as_rows(keys: KeyArray) -> Array:
    """Return an array of keys as files have it: u8 [n, width]."""
    return keys.view(np.uint8).reshape(len(keys), keys.itemsize)


def from_rows(rows: Array) -> KeyArray:
    """Return the array of keys that a file has. Raises Malformed for what are none."""
    width = rows.shape[1]
    if not width:
        raise Malformed("its keys have no bytes")
    keys: KeyArray = rows.reshape(-1).view(f"S{width}")
    ends = rows[np.arange(len(rows)), np.char.str_len(keys) - 1]
    if np.any(ends != END[0]):
        raise Malformed("its keys do not end as keys in arrays do")
    return keys
