"""What every guide does and declares: rows of one scan that may be near a query.

A guide is made from the codes of a scan alone, and depends on nothing else: the same codes give the
same guide. Scans never change, so a guide of one never does either; where scans are joined, the
guide of the first is extended by the rows of the others.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, NamedTuple, Self

from cgcython.search.scan import Embedding, Forms, Scan
from cgcython.tensors import mapped_among
from cgcython.types import Array, Int64Array, Progress

MOST_GROWTH = 1.5  # a guide of so many times its rows, or so many times fewer, is made anew


class Near(NamedTuple):
    """Rows that may be near a query, each once and in any order.

    `read` is how many rows' codes, those of the scan, were read to find them: 0 where a guide reads
    its own arrays alone.
    """

    rows: Int64Array
    read: int


class Guide(ABC):
    """Finds rows of one scan that may be near a query; their codes then say which are.

    A subclass declares `name`, by which column files know it, `kept`, the arrays that they hold by
    name, and `least_rows`, below which scoring every code is as fast. It is one of `choice.GUIDES`.
    `kept` names the axis of all rows `scan.ROWS`, and that of values `scan.DIM`.
    """

    name: ClassVar[str]
    kept: ClassVar[Forms]
    least_rows: ClassVar[int]

    @classmethod
    @abstractmethod
    def suits(cls, scan: Scan) -> bool:
        """Return whether guides of this kind can be made for a scan, however many rows it has."""

    @classmethod
    @abstractmethod
    def of(cls, scan: Scan, num_threads: int = 1, progress: Progress | None = None) -> Self:
        """Return the guide of a scan; `progress` is called with the number of rows at a time."""

    @abstractmethod
    def extended(self, scan: Scan) -> Self | None:
        """Return the guide of a scan that begins with the rows of this one.

        Returns None where a guide that is made anew would find more.
        """

    def subset(self, rows: Int64Array) -> Self | None:
        """Return the guide of the scan of some rows, which ascend.

        Returns None where one that is made anew would cost as little or find more.
        """
        return None

    @abstractmethod
    def near(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> Near:
        """Return rows among which nearly all of the `count` nearest to the query by cosine are.

        At least `count` rows, as far as there are so many. Raises DimensionMismatch.
        """

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, Array], scan: Scan) -> Self:
        """Return the guide of a scan whose `arrays()` these are, without copying them.

        Names, dtypes and axes were checked: they are those of `kept`, with the rows and the
        dimension of the scan. Raises Malformed where the content of an array is not what kernels
        rely on; what is merely wrong finds other rows.
        """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows of its scan."""

    def arrays(self) -> dict[str, Array]:
        """Return the arrays of `kept`, which a file holds: attributes of these names."""
        return {name: getattr(self, name) for name in self.kept}

    @cached_property
    def mapped(self) -> list[Array]:
        """An array of each file in which arrays of this guide are mapped."""
        return mapped_among(self.arrays().values())

    @property
    def nbytes(self) -> int:
        """The bytes of its arrays."""
        return sum(one.nbytes for one in self.arrays().values())
