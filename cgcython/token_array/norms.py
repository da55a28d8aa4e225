"""What MaxSim multiplies each token's products with."""

from typing import TYPE_CHECKING

import numpy as np

from cgcython.parallel import split_rows
from cgcython.token_array.precisions import precision_of
from cgcython.types import Float32Array

if TYPE_CHECKING:
    from cgcython.token_array.array import TokenArray


def inverse_norms(tokens: "TokenArray", shared: dict[str, Float32Array]) -> Float32Array:
    """Return 1 / norm of each row that belongs to a document; other rows may hold anything.

    `shared` keeps those of all rows for other views of the same values.
    """
    known = shared.get("inverse_norms")
    if known is not None:
        return known
    out = np.empty(len(tokens.values), np.float32)

    def write(start: int, stop: int) -> None:
        rows = slice(start, stop)
        scales = None if tokens.scales is None else tokens.scales[rows]
        precision_of(tokens.precision).write_norms(
            tokens.values[rows], scales, tokens.dim, tokens.codebook, out[rows]
        )

    if tokens.num_tokens >= len(tokens.values):
        split_rows(write, len(out))
        return shared.setdefault("inverse_norms", out)
    for start, count in zip(tokens.starts.tolist(), tokens.counts.tolist()):
        write(start, start + count)
    return out
