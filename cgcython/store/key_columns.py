"""The keys of many records one after the other, as shards keep them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from cgcython.store.ids import UUID_BYTES, is_key
from cgcython.tensors import ArrayForm, Malformed, require_arrays
from cgcython.types import Array, Int64Array, UInt8Array

IDS = "ids"
DATA, OFFSETS = f"{IDS}.data", f"{IDS}.offsets"
NAMES = (IDS, DATA, OFFSETS)  # of arrays in files
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
        if not self.are_uuids and not all(map(is_key, self.keys())):
            raise Malformed("its ids are none")

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

    def arrays(self, free: bool) -> Mapping[str, Array]:
        """Return the arrays of a file: of UUIDs one, of any keys (`free`) two."""
        if free:
            return {DATA: self.data, OFFSETS: self.offsets}
        return {IDS: self.data.reshape(-1, UUID_BYTES)}
