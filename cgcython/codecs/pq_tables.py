"""Tables of a query over the centroids of a codebook, whose sums over codes are its scores."""

from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.kernels.pq_layout import NUM_CENTROIDS, PreparedCodebook, squared_norms
from cgcython.types import Float32Array


class Norms(NamedTuple):
    """The squared length of what codes decode to: constant + sum of table[m, code_m]."""

    table: Float32Array  # [M, ksub]
    constant: float


class SearchTables(NamedTuple):
    """The cosine of one query with any decoded vector, as sums over its codes.

    cosine = (dot_constant + sum of dots[m, code_m]) / sqrt(norm_constant + sum of norms[m, code_m])
    """

    dots: Float32Array  # [M, ksub]
    norms: Float32Array  # [M, ksub]
    dot_constant: float
    norm_constant: float


@np.errstate(all="ignore")
def norms_of(prepared: PreparedCodebook) -> Norms:
    """Return the Norms of a codebook; what is too large for float32 becomes infinite."""
    table, constant = squared_norms(prepared.centroids, prepared.mean, prepared.rotation)
    return Norms(table.astype(np.float32), constant)


@np.errstate(all="ignore")  # what is too small for float32 becomes 0
def cosine_tables(prepared: PreparedCodebook, norms: Norms, query: Float32Array) -> SearchTables:
    """Return the SearchTables of a query [dim]."""
    turned, dot_constant = query.astype(np.float64), 0.0
    turned /= np.linalg.norm(turned) or 1.0
    if prepared.rotation is not None and prepared.mean is not None:
        dot_constant, turned = float(turned @ prepared.mean), turned @ prepared.rotation
    dots = np.empty((len(prepared.centroids), NUM_CENTROIDS), np.float32)
    kernels.pq.dot_table(turned.astype(np.float32), prepared, dots)
    return SearchTables(dots, norms.table, dot_constant, norms.constant)
