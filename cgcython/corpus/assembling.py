"""Puts embeddings of one embedder together as the arrays that `open_corpus` reads."""

from collections.abc import Iterable, Sequence

import numpy as np

from cgcython.arrays import concatenated
from cgcython.inputs.columns import Embedding
from cgcython.records import SparseVector
from cgcython.types import Array, Int64Array


class ColumnAssembler:
    """Collects the embeddings of one embedder, in the order of their memories."""

    def __init__(self) -> None:
        self._rows: list[Int64Array] = []
        self._embeddings: list[Embedding] = []

    def add(self, embeddings: Iterable[Embedding], rows: Sequence[int] | Int64Array) -> None:
        """Add the rows of a matrix, SparseVectors or token matrices, and each one's memory."""
        self._rows.append(np.asarray(rows, np.int64))
        self._embeddings.extend(embeddings)

    def arrays(self, name: str, num_memories: int) -> dict[str, Array]:
        """Return the arrays by name, such as `E1`, or `E6.indptr`, `E6.indices`, `E6.weights`.

        `E1.rows` is among them only where some of the memories have no such embedding.
        """
        rows = np.concatenate(self._rows)
        if len(rows) == num_memories:
            return self._columns(name)
        return self._columns(name) | {f"{name}.rows": rows}

    def _columns(self, name: str) -> dict[str, Array]:
        sparse = [one for one in self._embeddings if isinstance(one, SparseVector)]
        if sparse:
            return {
                f"{name}.indptr": _offsets(one.nnz for one in sparse),
                f"{name}.indices": np.concatenate([one.indices for one in sparse]),
                f"{name}.weights": np.concatenate([one.weights for one in sparse]),
            }
        dense = [one for one in self._embeddings if not isinstance(one, SparseVector)]
        if dense[0].ndim == 2:
            offsets = _offsets(map(len, dense))
            return {f"{name}.values": concatenated(dense), f"{name}.offsets": offsets}
        return {name: concatenated([one[None] for one in dense])}


def _offsets(lengths: Iterable[int]) -> Int64Array:
    return np.cumsum([0, *lengths], dtype=np.int64)
