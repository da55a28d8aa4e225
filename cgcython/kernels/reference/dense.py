"""Dense float32 rows by definition: norms, products, cosines, the best scores, projections."""

import numpy as np

from cgcython.kernels.reference import door
from cgcython.kernels.reference.door import agree, writes


@writes()
def first_nonfinite(values):
    """Return the index of the first NaN or infinity, or -1."""
    return door.first_nonfinite(values)


@writes("out")
def norms(values, out):
    """Write the Euclidean norm of each row; any finite magnitude."""
    agree("out", out.shape[0], "values", values.shape[0])
    with np.errstate(over="ignore"):
        out[:] = np.sqrt((values.astype(np.float64) ** 2).sum(axis=1))


@writes("out")
def dot_rows(query, rows, out):
    """Write the dot product of the query with each row."""
    _check_scan(query, rows, out)
    out[:] = rows.astype(np.float64) @ query.astype(np.float64)


@writes("out")
def cosine_rows(query, rows, out):
    """Write the cosine of the query with each row; 0 where either is zero."""
    _check_scan(query, rows, out)
    rows, query = rows.astype(np.float64), query.astype(np.float64)
    lengths = np.sqrt((rows**2).sum(axis=1)) * np.sqrt((query**2).sum())
    out[:] = np.divide(rows @ query, lengths, out=np.zeros(len(rows)), where=lengths > 0)


@writes("ids", "best")
def top_k(scores, ids, best):
    """Write the highest scores, descending, and where they are; ties keep the lower index."""
    agree("best", best.shape[0], "ids", ids.shape[0])
    if len(ids) > len(scores):
        raise ValueError(f"ids holds {len(ids)}, scores holds {len(scores)}")
    ids[:] = np.argsort(-scores, kind="stable")[: len(ids)]
    best[:] = scores[ids]


@writes("counts")
def count_above(scores, limits, counts):
    """Write how many scores are above each limit; none is above NaN, and NaN is above none."""
    agree("counts", counts.shape[0], "limits", limits.shape[0])
    counts[:] = [np.count_nonzero(scores > limit) for limit in limits]


@writes("rows")
def rows_above(scores, least, rows):
    """Write which scores are above `least`, ascending, and return how many.

    Only as many as `rows` holds are written; none is above NaN, and NaN is above none.
    """
    found = np.flatnonzero(scores > np.float32(least))
    rows[: len(found)] = found[: len(rows)]
    return len(found)


@writes("out")
def project(values, mean, rotation, out):
    """Write (values - mean) @ rotation for each row."""
    _check_product(values, rotation, out)
    agree("mean", mean.shape[0], "a row of values", values.shape[1])
    out[:] = (values - mean).astype(np.float64) @ rotation.astype(np.float64)


@writes("out")
def back_project(values, rotation_t, mean, out):
    """Write values @ rotation_t + mean for each row."""
    _check_product(values, rotation_t, out)
    agree("mean", mean.shape[0], "a row of out", out.shape[1])
    out[:] = values.astype(np.float64) @ rotation_t.astype(np.float64) + mean


def _check_scan(query, rows, out):
    agree("query", query.shape[0], "a row of rows", rows.shape[1])
    agree("out", out.shape[0], "rows", rows.shape[0])


def _check_product(values, matrix, out):
    agree("a row of values", values.shape[1], "rotation", matrix.shape[0])
    agree("out", out.shape[0], "values", values.shape[0])
    agree("a row of out", out.shape[1], "a row of rotation", matrix.shape[1])


@writes("out", in_place=("values",))
def turn_rows(values, out, back=False):
    """Write Hadamard's transform of each row, over its size; `back` undoes it.

    A row is cut into blocks of the largest power of two that divides its length.
    """
    agree("out", len(out), "values", len(values))
    agree("a row of out", out.shape[1], "a row of values", values.shape[1])
    dim = values.shape[1]
    size = dim & -dim
    turned = values * np.float32(1 if back or not size else 1 / size)
    half = 1
    while half < size:
        pairs = turned.reshape(len(values), dim // (2 * half), 2, half)
        a, b = pairs[:, :, 0], pairs[:, :, 1]
        turned = np.stack([a + b, a - b], axis=2)
        half *= 2
    out[:] = turned.reshape(values.shape)
