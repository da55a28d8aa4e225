"""Puts decoded embeddings of one embedder back together as arrays that `encode` reads."""

import numpy as np

from cgcython.records import SparseVector


class Pieces:
    """Embeddings in the order of their memories."""

    def __init__(self):
        self._rows, self._values = [], []

    def add(self, values, rows):
        """Add some embeddings: a matrix, or a list of SparseVector or of token matrices."""
        self._rows.append(np.asarray(rows, np.int64))
        self._values.extend(values)

    def arrays(self, name, num_memories):
        """Return the named arrays; `rows` is left out where every memory has the embedder."""
        rows = np.concatenate(self._rows)
        whole = len(rows) == num_memories
        return self._columns(name) | ({} if whole else {f"{name}.rows": rows})

    def _columns(self, name):
        values = self._values
        if isinstance(values[0], SparseVector):
            return {
                f"{name}.indptr": _offsets(one.nnz for one in values),
                f"{name}.indices": np.concatenate([one.indices for one in values]),
                f"{name}.weights": np.concatenate([one.weights for one in values]),
            }
        if values[0].ndim == 2:
            offsets = _offsets(map(len, values))
            return {f"{name}.values": np.concatenate(values), f"{name}.offsets": offsets}
        return {name: np.stack(values)}


def _offsets(lengths):
    return np.cumsum([0, *lengths], dtype=np.int64)
