"""Names the memory whose embedding is not finite, where an error tells only a position."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cgcython.arrays import as_float32
from cgcython.corpus.corpus import Corpus
from cgcython.errors import NonFiniteValue
from cgcython.inputs.columns import Column, DenseColumn, SparseColumn
from cgcython.narrow_floats import Rows

ROWS = 1 << 14  # read at a time


@contextmanager
def naming(**corpora: Corpus) -> Iterator[None]:
    """Add to a NonFiniteValue of the block which memory of a corpus has the first such value.

    The names of the arguments are what the memories are called, `memory` or `query`.
    """
    try:
        yield
    except NonFiniteValue as error:
        note = next((note for one in corpora.items() for note in _notes(*one)), None)
        if note is not None:
            error.add_note(note)
        raise


def _notes(what: str, corpus: Corpus) -> Iterator[str]:
    for model_id, column in corpus.items():
        row = _first_row(column.embeddings)
        if row is not None:
            (memory,) = column.memories(row, row + 1).tolist()
            yield f"({what} {memory} of {model_id.short})"


def _first_row(column: Column) -> int | None:
    """Return the first row of a column with a value that is not finite, or None."""
    if isinstance(column, DenseColumn):
        return _first_position(column.values)
    if isinstance(column, SparseColumn):
        offsets = column.indptr
        position = _first_position(as_float32(column.weights)[:, None])
    else:
        offsets, position = column.offsets, _first_position(column.values)
    return None if position is None else int(np.searchsorted(offsets, position, "right")) - 1


def _first_position(values: Rows) -> int | None:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        for start in range(0, len(values), ROWS):
            finite = np.isfinite(as_float32(values[start : start + ROWS])).all(axis=1)
            if not finite.all():
                return start + int(np.argmin(finite))
    return None
