"""How a graph is made and searched."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from cgcython.checks import require_whole
from cgcython.errors import InvalidInput

MOST_LINKS, MOST_EXPANSION = 512, 1 << 16
FEW = 1 << 14  # up to so many records, `expansion_search` candidates include nearly all of the best


class GraphSettings(NamedTuple):
    """The settings of an HNSW graph: more of each finds more, and takes longer.

    `connectivity` is the number of links of a record, `expansion_add` how many near records are
    looked at to choose them from; a graph is made anew for others of these. `expansion_search` is
    how many a search looks at and proposes at least: so many of up to 16,384 records, of more as
    the square root of their number.
    """

    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 64

    @classmethod
    def of(cls, given: object) -> Self:
        """Return the settings of a mapping, which may leave some as they usually are.

        Raises InvalidInput for any that is unknown or no whole number in its range.

        >>> GraphSettings.of({"connectivity": 32})
        GraphSettings(connectivity=32, expansion_add=128, expansion_search=64)
        """
        named: Any = given._asdict() if isinstance(given, GraphSettings) else given
        if not isinstance(named, Mapping) or not named.keys() <= set(cls._fields):
            expected = f"True or a mapping of {', '.join(cls._fields)}"
            raise InvalidInput(what="graphs", expected=expected, actual=f"{given!r:.60}")
        settings = cls(**named)
        require_whole(settings.connectivity, "connectivity", 4, MOST_LINKS)
        require_whole(settings.expansion_add, "expansion_add", 4, MOST_EXPANSION)
        require_whole(settings.expansion_search, "expansion_search", 1, MOST_EXPANSION)
        return cls(*map(int, settings))

    def links_as(self, other: "GraphSettings") -> bool:
        """Return whether a graph of other settings is linked as one of these would be."""
        return self[:2] == other[:2]

    def candidates(self, records: int) -> int:
        """Return how many records of so many a search proposes at least."""
        return int(self.expansion_search * max(1, records / FEW) ** 0.5)


USUAL = GraphSettings()
EARLIER = GraphSettings(16, 64, 64)  # of files that say none
