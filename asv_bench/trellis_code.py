"""Trellis codes, for trellis_study.py: training, encoding and decoding, with loops in C."""

import ctypes
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from statistics import NormalDist

import numpy as np

from cgcython import kernels

ROUNDS, ROWS = 30, 4000  # of training
SEEN = 7  # bits that a lookup of one instruction takes
MOST_GIVEN = 5  # bits that one step can read
QUIET = 0.15  # of a step's variance at least is kept as its scale


@cache
def compiled(name):
    """Return the C functions of a file beside this one, compiled for this processor."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.so"
        flags = "-O3 -march=native -fno-math-errno -fno-trapping-math -shared -fPIC".split()
        compiler = os.environ.get("CC", "cc").split()
        source = Path(__file__).with_name(f"{name}.c")
        subprocess.run([*compiler, *flags, str(source), "-o", str(path)], check=True)
        return ctypes.CDLL(str(path))


def loops():
    """Return the C functions of a trellis."""
    return compiled("trellis_code")


def place(array):
    """Return where an array lies, for C."""
    return array.ctypes.data_as(ctypes.c_void_p)


def f32(array):
    """Return an array as C reads it."""
    return np.ascontiguousarray(array, np.float32)


class Given(ctypes.Structure):
    """A trellis, as C reads it."""

    _fields_ = [(name, ctypes.c_int) for name in ("steps", "window", "bytes")] + [
        (name, ctypes.c_void_p) for name in ("given", "ends", "table", "tables", "scales")
    ]


def weighing(rows, weight):
    """Return the matrix that weighs errors as products with such rows feel them, and its inverse.

    It is the square root of the rows' second moments to a power: 0 weighs all directions alike.
    """
    moments, axes = np.linalg.eigh((rows.T @ rows / len(rows)).astype(np.float64))
    shrunk = np.maximum(moments / moments[-1], 1e-9) ** (weight / 2)
    return axes * shrunk @ axes.T, axes / shrunk @ axes.T


def shared_out(variances, bits):
    """Return the level of reverse water filling and the whole bits that each component reads.

    The bits read so far follow the sum of the components' rates, for a state spreads what it reads
    over its neighbours.
    """
    low, high = 1e-15, variances[0]
    for _ in range(200):
        level = np.sqrt(low * high)
        wanted = 0.5 * np.log2(np.maximum(variances / level, 1)).sum()
        low, high = (level, high) if wanted > bits else (low, level)
    rates = 0.5 * np.log2(variances[variances > high * 1.0001] / high)
    rates = np.minimum(rates, MOST_GIVEN - 1)
    ends = np.rint(np.cumsum(rates) * (bits / rates.sum())).astype(np.int32)
    given = np.diff(ends, prepend=0).astype(np.int32)
    if given.max() > MOST_GIVEN:
        raise ValueError(f"a step reads up to {MOST_GIVEN} bits, one would read {given.max()}")
    return high, given


def views_of(kind, end, window):
    """Return the (first bit, bits) of a state whose values add up to its value.

    The state's last bit is bit 0; `end` is how many bits of the code were read.
    """
    if kind == "whole":
        return ((0, window),)
    if kind == "windows":
        return ((0, SEEN), (window - SEEN, SEEN))
    views, room = [], (end - 1) % 8 + 1
    while (first := sum(bits for _, bits in views)) < window:
        views.append((first, min(room, window - first)))
        room = 8
    return tuple(views)


def seen(view, window):
    """Return what each state shows in a view."""
    first, bits = view
    return np.arange(1 << window) >> first & (1 << bits) - 1


class TrellisCode:
    """Codes of `size` bytes: the nearest path through a bit-shift trellis over principal axes.

    A state is the last `window` bits read. Its value is one of a table ("whole"), the sum of one
    for each byte that the state touches ("bytes"), so that the tables of PQ's scan measure such
    codes, or of one for its last and one for its first seven bits ("windows").
    """

    def __init__(self, rows, size, *, window=10, weight=0.75, kind="whole", seed=0):
        self.size, self.window, self.kind = size, window, kind
        rng = np.random.default_rng(seed)
        self.mean = rows.mean(axis=0)
        self._choose_axes(rows, weight)
        self._choose_tables(rng)
        values = self.turned(rows)
        rng.shuffle(values)
        for _ in range(ROUNDS):
            self._fit(values[:ROWS])

    def _choose_axes(self, rows, weight):
        """Take principal axes of weighed rows, as many as are worth bits."""
        there, again = weighing(rows, weight)
        centred = (rows - self.mean) @ there
        variances, axes = np.linalg.eigh(centred.T @ centred / len(rows))
        variances, axes = np.maximum(variances[::-1], 1e-12), axes[:, ::-1]
        level, self.given = shared_out(variances, 8 * self.size)
        self.ends, steps = np.cumsum(self.given, dtype=np.int32), len(self.given)
        self.forth, self.back = f32(there @ axes[:, :steps]), f32(axes[:, :steps].T @ again)
        left = np.maximum(variances - level, QUIET * variances)[:steps]
        self.scales = f32(np.sqrt(left))

    def _choose_tables(self, rng):
        """Give steps that read alike one table, of normal values in a random order."""
        kinds, since = [], 0
        for given, end in zip(self.given, self.ends):
            since = 0 if given else min(since + 1, 6)
            kinds.append((int(given), since, views_of(self.kind, end, self.window)))
        found = list(dict.fromkeys(kinds))
        self.table = np.array([found.index(kind) for kind in kinds], np.int32)
        self.views = [views for _, _, views in found]
        self.tables = f32([self._random(views, rng) for views in self.views])

    def _random(self, views, rng):
        total = np.zeros(1 << self.window)
        for view in views:
            count, share = 1 << view[1], view[1] / sum(bits for _, bits in views)
            values = [NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)]
            values = rng.permutation(values) * np.sqrt(share) / np.std(values)
            total += values[seen(view, self.window)]
        return total

    def _fit(self, values):
        """Set each state's value to the mean of what met it, then the scales."""
        states, _ = self.paths(values)
        sums, weights = np.zeros((2, *self.tables.shape))
        arrays = map(place, (values, states, sums, weights))
        loops().gather(self.given_to_c(), len(values), *arrays)
        for own, views, top, bottom in zip(self.tables, self.views, sums, weights):
            own[:] = nearest_sums(own, views, top, bottom)
        found = self.scales * self.tables[self.table, states]
        self.scales = f32(self.scales * (found * values).sum(0) / (found * found).sum(0))

    def given_to_c(self):
        arrays = self.given, self.ends, self.table, self.tables, self.scales
        return ctypes.byref(Given(len(self.given), self.window, self.size, *map(place, arrays)))

    def turned(self, rows):
        """Return the components [n, steps] of rows."""
        return f32((rows - self.mean) @ self.forth)

    def paths(self, values):
        """Return the states [n, steps] and the codes [n, size] of components."""
        states = np.empty(values.shape, np.uint16)
        codes = np.empty((len(values), self.size), np.uint8)
        arrays = map(place, (values, states, codes))
        loops().encode(self.given_to_c(), len(values), *arrays)
        return states, codes

    def encode(self, rows):
        """Return the codes [n, size] of rows."""
        return self.paths(self.turned(rows))[1]

    def decode(self, codes):
        """Return the rows of codes."""
        values = np.empty((len(codes), len(self.given)), np.float32)
        loops().values_of(self.given_to_c(), len(codes), place(codes), place(values))
        rows = np.empty((len(codes), len(self.mean)), np.float32)
        kernels.dense.back_project(values, self.back, f32(self.mean), rows)
        return rows

    def weights(self, query):
        """Return the weight of each step's value in a product with a query."""
        return f32(self.back @ query * self.scales)

    def dot_tables(self, query):
        """Return tables [size, 256] whose sums are products with a query, but for the mean.

        Only codes of kind "bytes" have them.
        """
        tables, byte = np.zeros((self.size, 256)), np.arange(256)
        for end, table, weight in zip(self.ends, self.table, self.weights(query)):
            own, first = self.tables[table] * weight, (end - 1) // 8
            for back, view in enumerate(self.views[table]):
                which = seen(view, self.window)
                part = np.bincount(which, own) / np.bincount(which) - (own.mean() if back else 0)
                shift = 0 if back else 7 - (end - 1) % 8
                if first < back:  # bits before the first are 0
                    tables[0] += part[0]
                else:
                    tables[first - back] += part[byte >> shift & len(part) - 1]
        return f32(tables)


def nearest_sums(own, views, sums, weights):
    """Return what is nearest to sums / weights of all that are sums of a value for each view."""
    window = len(own).bit_length() - 1
    found = np.array(own, np.float64)
    wanted = np.divide(sums, weights, out=found.copy(), where=weights > 0)
    for view in views if len(views) == 1 else 3 * views:
        which = seen(view, window)
        errors = np.bincount(which, weights * (wanted - found))
        found += (errors / np.maximum(np.bincount(which, weights), 1e-30))[which]
    return found
