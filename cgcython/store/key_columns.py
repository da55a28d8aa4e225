"""The keys of many records one after the other, as shards keep them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from cgcython.store.ids import MOST_KEY_BYTES, TEXT, UUID_BYTES, is_key
from cgcython.tensors import ArrayForm, Malformed, require_arrays
from cgcython.types import Array, Int64Array, UInt8Array

IDS = "ids"
DATA, OFFSETS = f"{IDS}.data", f"{IDS}.offsets"
NAMES = (IDS, DATA, OFFSETS)  # of arrays in files
# Bytes of the keys of UUIDs, of texts of 15 bytes, and of texts that may spell a UUID.
_OF_OTHERS = UUID_BYTES, UUID_BYTES + 1, len(TEXT) + 36
_PLAIN = {IDS: ArrayForm("U8", ("rows", UUID_BYTES))}
_FREE = {DATA: ArrayForm("U8", ("bytes",)), OFFSETS: ArrayForm("I64", ("rows + 1",))}


@dataclass(frozen=True, eq=False)
class KeyColumn:
    """Keys: number i is `data[offsets[i]:offsets[i + 1]]`."""

    data: UInt8Array
    offsets: Int64Array

    @classmethod
    def of(cls, keys: Sequence[bytes]) -> Self:
        """Return the column of some keys.

        >>> KeyColumn.of([b"\\x03a", b"\\x03bc"]).offsets.tolist()
        [0, 2, 5]
        """
        offsets = np.cumsum([0, *map(len, keys)], dtype=np.int64)
        return cls(np.frombuffer(b"".join(keys), np.uint8), offsets)

    @classmethod
    def of_uuids(cls, rows: UInt8Array) -> Self:
        """Return the column of UUIDs, u8 [n, 16]."""
        return cls(rows.reshape(-1), np.arange(len(rows) + 1, dtype=np.int64) * UUID_BYTES)

    @classmethod
    def taken(cls, arrays: dict[str, Array]) -> Self:
        """Take the column out of the arrays of a file, of either form. Raises Malformed."""
        own = {name: arrays.pop(name) for name in NAMES if name in arrays}
        if IDS in own:
            return cls.of_uuids(require_arrays(own, _PLAIN)[IDS])
        checked = require_arrays(own, _FREE)
        found = cls(checked[DATA], checked[OFFSETS])
        found._require_keys()
        return found

    def _require_keys(self) -> None:
        offsets = self.offsets
        ends = len(offsets) > 0 and offsets[0] == 0 and offsets[-1] == len(self.data)
        if not ends or np.any(offsets[1:] < offsets[:-1]):
            raise Malformed("its ids do not lie one after the other")
        if not (self.are_uuids or self._are_texts or all(map(is_key, self.keys()))):
            raise Malformed("its ids are none")

    @property
    def _are_texts(self) -> bool:
        """Whether all keys are those of texts that cannot be taken for anything else.

        One decoding tells for all: no character begins in a key and ends behind the next one's tag.
        """
        sizes = np.diff(self.offsets)
        fits = (sizes > 1) & (sizes <= MOST_KEY_BYTES) & ~np.isin(sizes, _OF_OTHERS)
        if not np.all(fits) or np.any(self.data[self.offsets[:-1]] != TEXT[0]):
            return False
        try:
            self.data.tobytes().decode()
        except UnicodeDecodeError:
            return False
        return True

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def are_uuids(self) -> bool:
        """Whether all keys are those of UUIDs."""
        return bool(np.all(np.diff(self.offsets) == UUID_BYTES))

    def keys(self) -> list[bytes]:
        """Return the keys."""
        data, ends = self.data.tobytes(), self.offsets.tolist()
        return [data[start:end] for start, end in pairwise(ends)]

    def padded(self, end: bytes) -> Array:
        """Return the keys as an `S` array, each with a byte behind it, which NumPy does not strip.

        >>> KeyColumn.of([b"\\x03a", b"\\x03a\\0"]).padded(b"\\1").tolist()
        [b'\\x03a\\x01', b'\\x03a\\x00\\x01']
        """
        starts, sizes = self.offsets[:-1], np.diff(self.offsets)
        width = int(sizes.max(initial=UUID_BYTES)) + 1
        found = np.zeros((len(self), width), np.uint8)
        if self.are_uuids:
            found[:, :-1] = self.data.reshape(-1, UUID_BYTES)
        else:
            begins = np.arange(len(self)) * width - starts
            found.reshape(-1)[np.arange(len(self.data)) + np.repeat(begins, sizes)] = self.data
        found[np.arange(len(self)), sizes] = end[0]
        return found.reshape(-1).view(f"S{width}")

    def arrays(self, free: bool) -> Mapping[str, Array]:
        """Return the arrays of a file: of UUIDs one, of any keys (`free`) two."""
        if free:
            return {DATA: self.data, OFFSETS: self.offsets}
        return {IDS: self.data.reshape(-1, UUID_BYTES)}
