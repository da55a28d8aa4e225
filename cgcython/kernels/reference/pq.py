"""Product quantization by definition: the nearest centroid in float64, lowest index on ties.

Sums run over the dimension in order, each product rounded, so that every level can repeat them.
"""

import numpy as np

from cgcython.kernels.reference.door import writes

F64 = np.float64


@writes("codes", "scratch")
def encode_rows(values, prepared, codes, scratch):
    """Write the codes [n, M] of rows [n, dim]; return where the first non-finite value is, or -1.

    Where the return is not -1 the codes mean nothing.
    """
    _require_shapes(values, codes, prepared)
    finite = np.isfinite(values)
    if not finite.all():
        return int(np.argmin(finite))
    projected = _projected(values.astype(F64), prepared)
    M, _, dsub = prepared.centroids.shape
    for m in range(M):
        subvectors = projected[:, m * dsub : (m + 1) * dsub]
        codes[:, m] = _distances(subvectors, prepared.centroids[m].astype(F64)).argmin(axis=1)
    return -1


def _projected(values, prepared):
    if prepared.rotation is None:
        return values
    centred = values - prepared.mean.astype(F64)
    sums = np.zeros((len(values), prepared.rotation.shape[1]))
    for k, row in enumerate(prepared.rotation.astype(F64)):
        sums += centred[:, k, None] * row
    return sums


def _distances(subvectors, centroids):
    sums = np.zeros((len(subvectors), len(centroids)))
    for k in range(subvectors.shape[1]):
        difference = subvectors[:, k, None] - centroids[:, k]
        sums += difference * difference
    return sums


def encode_vector(values, prepared):
    """Return the codes of one vector, or None where values needs a closer look.

    That is when it is no finite, contiguous float32 ndarray [dim].
    """
    plain = (
        type(values) is np.ndarray
        and values.dtype == np.float32
        and values.shape == (prepared.dim,)
        and values.flags.c_contiguous
        and values.flags.aligned
        and np.isfinite(values).all()
    )
    if not plain:
        return None
    codes = np.empty((1, prepared.centroids.shape[0]), np.uint8)
    encode_rows(values[None], prepared, codes, None)
    return codes.tobytes()


@writes("out", "scratch")
def decode_rows(codes, prepared, out, scratch, table=None):
    """Write the vector [n, dim] of each row of codes: its centroids rotated back, plus the mean."""
    _require_shapes(out, codes, prepared)
    M, _, dsub = prepared.centroids.shape
    rows = prepared.centroids[np.arange(M), codes].reshape(len(codes), M * dsub)
    if prepared.rotation is not None:
        rows = rows.astype(F64) @ prepared.rotation.T.astype(F64) + prepared.mean
    out[...] = rows


def decode_vector(codes, prepared, table=None):
    """Return the vector of M bytes of codes."""
    out = np.empty((1, prepared.dim), np.float32)
    decode_rows(np.frombuffer(codes, np.uint8)[None], prepared, out, None)
    return out[0]


@writes("table")
def back_table(prepared, table):
    """Return False: vectors are decoded without a table, and that is their definition."""
    M, ksub, _ = prepared.centroids.shape
    if table.shape != (M, ksub, prepared.dim):
        raise ValueError(f"table is {table.shape}, expected {(M, ksub, prepared.dim)}")
    return False


@writes("table")
def dot_table(query, prepared, table):
    """Write the dot products [M, 256] of a projected query's [d_out] subvectors with centroids."""
    table[...] = np.einsum("md,mkd->mk", _subvectors(query, prepared, table), prepared.centroids)


@writes("table")
def distance_table(query, prepared, table):
    """Write the squared distances [M, 256] from a projected query's subvectors to centroids."""
    subvectors = _subvectors(query, prepared, table)
    table[...] = ((subvectors[:, None] - prepared.centroids) ** 2).sum(axis=2)


def _subvectors(query, prepared, table):
    M, ksub, dsub = prepared.centroids.shape
    if len(query) != M * dsub:
        raise ValueError(f"query holds {len(query)}, the codebook {M * dsub}")
    if table.shape != (M, ksub):
        raise ValueError(f"table is {table.shape}, expected {(M, ksub)}")
    return query.astype(F64).reshape(M, dsub)


def _require_shapes(values, codes, prepared):
    if values.shape[1] != prepared.dim:
        raise ValueError(f"rows hold {values.shape[1]} values, the codebook {prepared.dim}")
    if codes.shape != (len(values), prepared.centroids.shape[0]):
        raise ValueError(f"codes are {codes.shape}, expected one row for each of {len(values)}")
