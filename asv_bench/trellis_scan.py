"""Scans trellis codes of kind "windows" by whole numbers, 64 rows at once, in AVX-512."""

import numpy as np
from trellis_code import SEEN, compiled, place, seen

AHEAD, ROWS = 2, 64  # as in trellis_scan.c
MOST_WEIGHT, MOST_VALUE = 127, 127
FINER = 8  # times that the heaviest step is scanned, so that light ones weigh more than a unit


class BlockScan:
    """Codes [n, size] as the scan reads them; their values in seven bits, a sum of two."""

    def __init__(self, code, codes):
        self.code, self.count = code, len(codes)
        blocks = -(-len(codes) // ROWS)
        padded = np.zeros((blocks * ROWS, AHEAD + code.size), np.uint8)
        padded[: len(codes), AHEAD:] = codes
        parted = padded.reshape(blocks, ROWS, -1).transpose(0, 2, 1)
        self.blocks = np.ascontiguousarray(parted)
        found = [in_bytes(table, code.window) for table in code.tables]
        self.units, self.shifts = (np.array([one[n] for one in found]) for n in (0, 1))
        self.bytes = np.concatenate([one[2] for one in found]).astype(np.uint8)

    def supported(self):
        """Return whether this processor can."""
        return bool(self._scan(np.arange(4), np.zeros(4, np.int8))[0])

    def scores(self, query):
        """Return products [n] with a query, but for the mean."""
        table, weights = self.code.table, self.code.weights(query)
        constant = weights @ self.shifts[table]
        weights = weights * self.units[table]
        unit = np.abs(weights).max() / (FINER * MOST_WEIGHT)
        steps, whole = repeated(np.rint(weights / unit).astype(int))
        return self._scan(steps, whole)[1][: self.count] * unit + constant

    def _scan(self, steps, weights):
        sums = np.empty(len(self.blocks) * ROWS, np.int32)
        sizes = len(self.blocks), self.code.size, len(steps), self.code.window - SEEN
        of_steps = self.code.ends[steps], self.code.table[steps]
        arrays = *of_steps, self.bytes, weights, self.blocks, sums
        return compiled("trellis_scan").scan_blocks(*sizes, *map(place, arrays)), sums


def repeated(weights):
    """Return steps and a weight in eight bits for each: heavy ones come more than once.

    They are a multiple of 4, the last ones without weight.
    """
    times = np.maximum(-(-np.abs(weights) // MOST_WEIGHT), 1)
    steps = np.repeat(np.arange(len(weights)), times)
    turn = np.arange(len(steps)) - np.repeat(np.cumsum(times) - times, times)
    count = times[steps]
    shares = (weights[steps] * (turn + 1)) // count - (weights[steps] * turn) // count
    fill = (0, -len(steps) % 4)
    return np.pad(steps, fill), np.pad(shares, fill).astype(np.int8)


def in_bytes(table, window):
    """Return the unit, the shift and two tables [2 * 128] whose sums are a table's values."""
    views = (0, SEEN), (window - SEEN, SEEN)
    places = [seen(view, window) + (n << SEEN) for n, view in enumerate(views)]
    ones = np.zeros((len(table), 2 << SEEN))
    for which in places:
        ones[np.arange(len(table)), which] = 1
    found = np.linalg.lstsq(ones, table, rcond=None)[0].reshape(2, -1)
    lowest = found.min(axis=1, keepdims=True)
    found -= lowest
    unit = found.max() / MOST_VALUE
    return unit, lowest.sum(), np.rint(found / unit).ravel()
