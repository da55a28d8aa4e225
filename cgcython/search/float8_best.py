"""The best rows of float8 codes by estimates with a proven bound, scored as a scan of all is."""

from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.parallel import split_rows
from cgcython.search.best import best_rows
from cgcython.types import Float32Array, Int64Array, UInt8Array

WIDEST = 4096  # dimensions that the kernels take
SPARSE = 16  # rows for each of the k best, below which all are scored: more would be near the best
SPARE = 512  # rows that may be held beside twice the k best
FIRST_ROWS = 1 << 17  # a later piece of a thread does not know what an earlier one found
WORTH_A_THREAD = 1 << 22  # codes, about a tenth of a millisecond


class Codes(NamedTuple):
    """Codes [rows, dim], one over the length of each row, and its scale; without scales cosines."""

    codes: UInt8Array
    inverse_norms: Float32Array
    scales: Float32Array | None

    def part(self, start: int, stop: int) -> "Codes":
        """Return some rows."""
        scales = None if self.scales is None else self.scales[start:stop]
        return Codes(self.codes[start:stop], self.inverse_norms[start:stop], scales)


Found = tuple[Int64Array, Float32Array]  # rows and their scores


def pays(codes: Codes, k: int) -> bool:
    """Return whether estimates can save enough of the scores, when the k best are wanted."""
    rows, dim = codes.codes.shape
    return bool(0 < k <= rows // SPARSE and 0 < dim <= WIDEST)


def best_of(
    query: Float32Array, codes: Codes, k: int, num_threads: int, within: float = 0.0
) -> Found:
    """Return the k best rows, and all whose scores are `within` of the last of them, and scores."""

    def found(start: int, stop: int) -> Found:
        rows, scores = _best_of_range(query, codes.part(start, stop), min(k, stop - start), within)
        return rows + start, scores

    threads = min(num_threads, max(1, codes.codes.size // WORTH_A_THREAD))
    return merged(split_rows(found, len(codes.codes), threads, FIRST_ROWS), k, within)


def merged(found: list[Found], k: int, within: float) -> Found:
    """Return the best of ranges, each of which had its own k best."""
    if len(found) == 1:
        return found[0]
    rows, scores = (np.concatenate(column) for column in zip(*found))
    last = scores[best_rows(scores, k)].min(initial=np.inf)
    near = scores >= np.float64(last) - within if len(scores) > k else slice(None)
    return rows[near], scores[near]


def _best_of_range(query: Float32Array, codes: Codes, k: int, within: float) -> Found:
    for room in (2 * k + SPARE, len(codes.codes)):  # there is no limit to how many may be equal
        rows, scores = np.empty(room, np.int64), np.empty(room, np.float32)
        count = kernels.e4m3_best.best(query, *codes, k, within, rows, scores)
        if count >= 0:
            break
    return rows[:count], scores[:count]
