"""The entries of a journal: how many changes there ever were, then the changes of one write.

There are two kinds. Plain changes are of UUIDs and of embedders with numbers below 16: 16 bytes and
a mask of 16 bits each. In an entry of other changes the top bit of the total is set, and each is
u16 length of the key, the key, u8 count, and the number of each embedder in a byte.
"""

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain

from cgcython.errors import StorageCorruption
from cgcython.store.ids import UUID_BYTES

_TOTAL, _PLAIN, _LENGTH = struct.Struct("<Q"), struct.Struct("<16sH"), struct.Struct("<H")
_FREE = 1 << 63


def are_plain(changes: Mapping[bytes, int]) -> bool:
    """Return whether masks by key fit into a plain entry."""
    return max(changes.values(), default=0) < 1 << 16 and set(map(len, changes)) <= {UUID_BYTES}


def packed(total: int, changes: Mapping[bytes, int], is_plain: bool) -> bytes:
    """Return the entry of masks of embedders by key.

    >>> packed(1, {b"\\x03a": 1 << 8}, is_plain=False).hex(" ", -8)
    '0100000000000080 020003610108'
    """
    if is_plain:
        changed = chain.from_iterable(changes.items())
        return _TOTAL.pack(total) + _plain(len(changes)).pack(*changed)
    found = [_TOTAL.pack(total | _FREE)]
    for key, mask in changes.items():
        numbers = _numbers(mask)
        found += [_LENGTH.pack(len(key)), key, bytes([len(numbers)]), numbers]
    return b"".join(found)


def total(entry: bytes) -> int:
    """Return how many changes were ever noted, this entry's included."""
    return int.from_bytes(entry[: _TOTAL.size], "little") & ~_FREE


def changed(entry: bytes, number: int | None = None) -> list[bytes]:
    """Return the keys of an entry: all, or those of an embedder. Raises StorageCorruption."""
    if len(entry) < _TOTAL.size:
        raise _damaged(f"an entry of {len(entry)} bytes")
    if not entry[_TOTAL.size - 1] & 0x80:
        if (len(entry) - _TOTAL.size) % _PLAIN.size:
            raise _damaged(f"an entry of {len(entry)} bytes")
        wanted = -1 if number is None else 1 << number
        found = _PLAIN.iter_unpack(entry[_TOTAL.size :])
        return [key for key, mask in found if number is None or mask & wanted]
    return [key for key, numbers in _free_changes(entry) if number is None or number in numbers]


def _free_changes(entry: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = _TOTAL.size
    while at < len(entry):
        start = at + _LENGTH.size
        middle = start + int.from_bytes(entry[at:start], "little")
        end = middle + 1 + int.from_bytes(entry[middle : middle + 1], "little")
        if end > len(entry):
            raise _damaged("an entry that is cut off")
        yield entry[start:middle], entry[middle + 1 : end]
        at = end


@lru_cache
def _numbers(mask: int) -> bytes:
    return bytes(number for number in range(mask.bit_length()) if mask >> number & 1)


def _damaged(found: str) -> StorageCorruption:
    return StorageCorruption(where="journal", reason=f"it has {found}")


@lru_cache
def _plain(count: int) -> struct.Struct:
    return struct.Struct("<" + count * _PLAIN.format.removeprefix("<"))
