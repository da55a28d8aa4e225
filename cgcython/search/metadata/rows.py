"""Which record each row of an index is of."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from cgcython.search.keys import NO_KEYS
from cgcython.types import BoolArray, Int64Array, KeyArray

SLACK = 1 << 16  # rows of no record, beside as many as there are records


class Rows(NamedTuple):
    """The keys of records, ascending, the row of each, and how many rows were ever given out.

    A row that is not among `rows` was of a record that changed or was deleted.
    """

    keys: KeyArray
    rows: Int64Array
    given: int

    @classmethod
    def numbered(cls, keys: Sequence[KeyArray]) -> Self:
        """Return the rows of batches of keys in the order in which they were given."""
        given = np.concatenate([NO_KEYS, *keys])
        if np.all(given[1:] > given[:-1]):  # sorting what is sorted would take longer
            return cls(given, np.arange(len(given)), len(given))
        rows = np.argsort(given, kind="stable")
        return cls(given[rows], rows, len(given))

    def updated(self, changed: KeyArray, fresh: KeyArray, first: int) -> "Rows":
        """Return the rows without those of changed keys, and with those from `first` on.

        They are of `fresh`, those of the changed records that there are, in any order.
        """
        order = np.argsort(fresh, kind="stable")
        kept = ~_are_among(self.keys, np.sort(changed))
        keys, rows = self.keys[kept], self.rows[kept]
        widest = np.promote_types(keys.dtype, fresh.dtype)  # insert would cut longer keys off
        at = keys.searchsorted(fresh[order])
        keys = np.insert(keys.astype(widest, copy=False), at, fresh[order])
        return Rows(keys, np.insert(rows, at, first + order), max(self.given, first + len(fresh)))

    def of(self, mask: BoolArray) -> KeyArray:
        """Return the keys of the rows for which a mask is set, ascending."""
        return self.keys[mask[self.rows]]

    @property
    def are_fragmented(self) -> bool:
        """Whether so many rows are of no record any more that numbering anew pays."""
        return self.given > 2 * len(self.keys) + SLACK


def _are_among(keys: KeyArray, some: KeyArray) -> BoolArray:
    """Return which of keys, which ascend, are among some others, which ascend too."""
    found = np.zeros(len(keys), np.bool_)
    places = keys.searchsorted(some)
    inside = places < len(keys)
    places, some = places[inside], some[inside]
    found[places[keys[places] == some]] = True
    return found


def common(some: KeyArray, others: KeyArray) -> KeyArray:
    """Return the keys that are in both of two arrays, which ascend.

    >>> common(np.array([b"a", b"c"]), np.array([b"b", b"c"])).tolist()
    [b'c']
    """
    fewer, more = sorted((some, others), key=len)
    if not len(fewer):
        return fewer
    places = np.minimum(more.searchsorted(fewer), len(more) - 1)
    found: KeyArray = fewer[more[places] == fewer]
    return found
