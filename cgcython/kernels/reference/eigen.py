"""Eigenvectors of symmetric matrices by definition: each sum in the order that all levels keep."""

import numpy as np

from cgcython.kernels.reference.door import agree, writes

LANES, MOST_COLUMNS, MOST_STEPS = 8, 256, 60
EPSILON = 2.0**-52


@writes("matrix", "factors", "diagonal", "off", "work")
def tridiagonal(matrix, factors, diagonal, off, work, start, stop):
    """Reduce rows start to stop of a symmetric matrix [n, n], of which the upper half is read.

    All rows, in order, give `diagonal` [n] and `off` [n] of a tridiagonal matrix; reflectors take
    the place of the upper half, with `factors` [n]. `work` is [2, n], kept from call to call.
    """
    n = len(matrix)
    _check(matrix, factors, diagonal, off)
    agree("work", len(work), "a pair", 2)
    agree("a row of work", work.shape[1], "matrix", n)
    if not 0 <= start <= stop <= n:
        raise ValueError(f"rows {start} to {stop} are not among {n}")
    for k in range(start, stop):
        _reduce_row(matrix, k, factors, diagonal, off, work[(k + 1) & 1], work[k & 1])


def _check(matrix, factors, diagonal, off):
    n = len(matrix)
    agree("a row of matrix", matrix.shape[1], "matrix", n)
    agree("factors", len(factors), "matrix", n)
    agree("diagonal", len(diagonal), "matrix", n)
    agree("off", len(off), "matrix", n)


def _dot(a, b):
    """Return a product summed in eight lanes, whose halves are then added to halves."""
    products = np.zeros(-(-len(a) // LANES) * LANES)
    products[: len(a)] = a * b
    lanes = np.zeros(LANES)
    for some in products.reshape(-1, LANES):
        lanes += some
    while len(lanes) > 1:
        half = len(lanes) // 2
        lanes = lanes[:half] + lanes[half:]
    return lanes[0]


def _reflector(x):
    """Turn x into the reflector that leaves its first value alone; return its factor, and that."""
    first, tail = x[0], _dot(x[1:], x[1:])
    if tail == 0:
        return 0.0, first
    length = -np.copysign(np.sqrt(first * first + tail), first)
    x[1:] /= first - length
    x[0] = 1
    return (length - first) / length, length


def _reduce_row(matrix, k, factors, diagonal, off, before, after):
    """Reflect rows behind k, after what the last reflection changes in them."""
    n, row, last = len(matrix), matrix[k], matrix[k - 1]
    pending = k > 0 and factors[k - 1] != 0
    if pending:
        row[k:] -= last[k] * before[k:] + before[k] * last[k:]
    diagonal[k] = row[k]
    if k == n - 1:
        return
    factors[k], off[k] = _reflector(row[k + 1 :])
    after[:] = 0
    for i in range(k + 1, n):
        if pending:
            matrix[i, i:] -= last[i] * before[i:] + before[i] * last[i:]
        if factors[k] != 0:
            after[i] += _dot(matrix[i, i:], row[i:])
            after[i + 1 :] += row[i] * matrix[i, i + 1 :]
    rest = slice(k + 1, n)
    after[rest] *= factors[k]
    after[rest] += -factors[k] / 2 * _dot(after[rest], row[rest]) * row[rest]


@writes("diagonal", "off", "columns")
def vectors(matrix, factors, diagonal, off, first, columns):
    """Write values `first` to first + c of all n eigenvectors [n, c], one in each row.

    Arguments are what `tridiagonal` left. `diagonal` becomes the eigenvalues, in the order of the
    rows, and `off` zeros.
    """
    n, c = len(matrix), columns.shape[1]
    _check(matrix, factors, diagonal, off)
    agree("columns", len(columns), "matrix", n)
    if c > MOST_COLUMNS or not 0 <= first <= n - c:
        raise ValueError(
            f"columns {first} to {first + c} are over {MOST_COLUMNS}, or not among {n}"
        )
    if not n or not c:
        return
    columns[:] = 0
    columns[first + np.arange(c), np.arange(c)] = 1
    for k in range(n - 1):
        if factors[k] != 0:
            _reflect(columns[k + 1 :], matrix[k, k + 1 :], factors[k])
    _diagonalize(diagonal, off, columns)


def _reflect(columns, v, factor):
    sums = np.zeros(columns.shape[1])
    for value, row in zip(v, columns):
        sums += value * row
    columns += (-factor * v)[:, None] * sums


def _diagonalize(diagonal, off, columns):
    """Make a tridiagonal matrix diagonal, rotating the rows of columns."""
    n = len(diagonal)
    off[-1] = 0
    least = EPSILON * (np.abs(diagonal) + np.abs(off)).max()
    for low in range(n):
        for _ in range(MOST_STEPS + 1):
            high = low
            while high < n - 1 and not abs(off[high]) <= least:
                high += 1
            if high == low:
                break
            if _ == MOST_STEPS:
                raise ValueError(f"no eigenvalue after {MOST_STEPS} steps")
            _ql_step(diagonal, off, low, high, columns)


def _ql_step(diagonal, off, low, high, columns):
    """Rotate rows `high` to `low` by an implicit step of the QL algorithm."""
    g = (diagonal[low + 1] - diagonal[low]) / (2 * off[low])
    g = diagonal[high] - diagonal[low] + off[low] / (g + np.copysign(np.sqrt(g * g + 1), g))
    sine, cosine, moved = 1.0, 1.0, 0.0
    for i in range(high - 1, low - 1, -1):
        f, b = sine * off[i], cosine * off[i]
        off[i + 1] = r = np.sqrt(f * f + g * g)
        if r == 0:
            diagonal[i + 1] -= moved
            off[high] = 0
            return
        sine, cosine = f / r, g / r
        g = diagonal[i + 1] - moved
        r = (diagonal[i] - g) * sine + 2 * cosine * b
        moved = sine * r
        diagonal[i + 1] = g + moved
        g = cosine * r - b
        x, y = columns[i].copy(), columns[i + 1].copy()
        columns[i + 1], columns[i] = sine * x + cosine * y, cosine * x - sine * y
    diagonal[low] -= moved
    off[low], off[high] = g, 0


@writes("out")
def product(a, b, out):
    """Write a [n, d] @ b [d, c], each sum in order."""
    agree("b", len(b), "a row of a", a.shape[1])
    agree("out", len(out), "a", len(a))
    agree("a row of out", out.shape[1], "a row of b", b.shape[1])
    out[:] = 0
    for k, row in enumerate(b):
        out += a[:, k, None] * row
