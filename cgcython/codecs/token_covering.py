"""The tokens that best cover the others, of many documents on several threads."""

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_weighted
from cgcython.token_array import TokenArray
from cgcython.types import Float32Array, Int64Array, UInt32Array

_PER_TOKEN = 200  # the time to cover a token besides its cosines, in cosines


def cover_documents(
    documents: TokenArray, places: Int64Array, num_threads: int
) -> tuple[Float32Array, UInt32Array]:
    """Return the values and positions (u32) of the tokens that compact documents keep.

    Those of document i lie between places[i] and places[i + 1].
    """
    kept = np.empty(places[-1], np.uint32)
    out = np.empty((len(kept), documents.dim), np.float32)

    def cover(start: int, stop: int) -> None:
        _cover(documents[start:stop], places[start : stop + 1], kept, out)

    split_weighted(cover, documents.counts * (documents.counts + _PER_TOKEN), num_threads)
    return out, kept


def _cover(documents: TokenArray, places: Int64Array, kept: UInt32Array, out: Float32Array) -> None:
    """Write the positions and values of the tokens that each of some documents keeps.

    Document i writes rows places[i] to places[i + 1] of `kept` and `out`.
    """
    offsets, longest = documents.offsets, int(documents.counts.max(initial=0))
    scratch = np.empty(kernels.coverage.cover_scratch(longest, documents.dim), np.uint8)
    gains = np.empty(len(kept), np.float32)
    values = documents.values
    kernels.coverage.cover_documents(values, offsets, kept, places, gains, scratch)
    span = slice(places[0], places[-1])
    rows = kept[span] + np.repeat(offsets[:-1], np.diff(places))
    kernels.tokens.gather(values, rows.astype(np.uint32), out[span])
