"""Cells of tokens as a guide to documents whose tokens lie where those of a query do."""

from collections.abc import Mapping
from typing import ClassVar, Self

import numpy as np

from cgcython.arrays import as_tokens
from cgcython.search.document_scan import DocumentScan
from cgcython.search.guides.guide import MOST_GROWTH, Guide, Near
from cgcython.search.scan import DIM, Embedding, Forms, Scan
from cgcython.similarity import PreparedQuery, TokenCells
from cgcython.similarity.cell_settings import CellSettings
from cgcython.similarity.token_cells import LEAST_DOCUMENTS, MOST_VALUES
from cgcython.tensors import ArrayForm, Malformed
from cgcython.types import Array, Int64Array, Progress


class TokenCellGuide(Guide):
    """The TokenCells of a scan of documents, and of how many documents they were made."""

    name, least_rows = "token cells", LEAST_DOCUMENTS
    kept: ClassVar[Forms] = {
        "codes": ArrayForm("U8", ("cells", DIM)),
        "offsets": ArrayForm("I64", ("cells and one",)),
        "members": ArrayForm("U32", ("entries",)),
        "settings": ArrayForm("I64", (len(CellSettings._fields),)),
        "counts": ArrayForm("I64", (2,)),  # of documents: that it was made of, and that there are
    }

    def __init__(self, cells: TokenCells, made_of: int) -> None:
        self._cells, self._made_of = cells, made_of

    @classmethod
    def suits(cls, scan: Scan) -> bool:
        """Return whether the rows are documents, of tokens that cells are made for."""
        return isinstance(scan, DocumentScan) and 0 < scan.dim <= MOST_VALUES

    @classmethod
    def of(cls, scan: Scan, num_threads: int = 1, progress: Progress | None = None) -> Self:
        cells = TokenCells.of(_documents(scan).tokens, num_threads=num_threads)
        if progress is not None:
            progress(len(scan))
        return cls(cells, len(scan))

    def extended(self, scan: Scan) -> Self | None:
        if len(scan) > MOST_GROWTH * self._made_of:
            return None
        return type(self)(self._cells.extended(_documents(scan).tokens), self._made_of)

    def subset(self, rows: Int64Array) -> Self | None:
        if len(rows) * MOST_GROWTH < self._made_of:
            return None
        return type(self)(self._cells.take(rows), self._made_of)

    def near(self, scan: Scan, query: Embedding, count: int, num_threads: int = 1) -> Near:
        prepared = PreparedQuery(as_tokens(query, _documents(scan).dim))
        wanted = self._cells.settings.candidates_for(count)
        if prepared.count and wanted < len(self):
            rows = self._cells.near(prepared, wanted).ids
            if len(rows) >= count:
                return Near(rows, 0)
        return Near(np.arange(len(self)), 0)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], scan: Scan) -> Self:
        settings, (made_of, count) = arrays["settings"].tolist(), arrays["counts"].tolist()
        if made_of < 1 or count != len(scan):
            raise Malformed(f"it is of {count} documents, made of {made_of}")
        lists = arrays["codes"], arrays["offsets"], arrays["members"]
        cells = TokenCells(*lists, len(scan), CellSettings(*settings))
        cells.require_sound()
        return cls(cells, made_of)

    def arrays(self) -> dict[str, Array]:
        cells = self._cells
        return {
            "codes": cells.codes,
            "offsets": cells.offsets,
            "members": cells.members,
            "settings": np.array(cells.settings),
            "counts": np.array([self._made_of, len(cells)]),
        }

    def __len__(self) -> int:
        return len(self._cells)


def _documents(scan: Scan) -> DocumentScan:
    assert isinstance(scan, DocumentScan)  # the others do not suit
    return scan
