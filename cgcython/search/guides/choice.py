"""Says which guide a scan gets, and which one a name in a column file means."""

from cgcython.search.guides.cells import CellGuide
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.guides.guide import Guide
from cgcython.search.guides.token_cells import TokenCellGuide
from cgcython.search.scan import Scan

# The first that suits a scan of so many rows is its guide.
GUIDES: tuple[type[Guide], ...] = (TokenCellGuide, CellGuide, FirstPass)


def guide_class(scan: Scan) -> type[Guide] | None:
    """Return the kind of guide that a scan gets, None where scoring every code is as fast."""
    fitting = (one for one in GUIDES if len(scan) >= one.least_rows and one.suits(scan))
    return next(fitting, None)


def guide_named(name: object) -> type[Guide] | None:
    """Return the kind of guide that column files know by a name, or None."""
    return next((one for one in GUIDES if one.name == name), None)
