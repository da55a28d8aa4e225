"""Tables of a query over the centroids of a codebook, whose sums over codes are its scores."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.scaling import power_beyond
from cgcython.kernels.pq_layout import NUM_CENTROIDS, PreparedCodebook, squared_norms
from cgcython.types import Float32Array, Float64Array


class Norms(NamedTuple):
    """The squared length of what codes decode to: constant + sum of table[m, code_m]."""

    table: Float32Array  # [M, ksub]
    constant: float


class DistanceTables(NamedTuple):
    """Squared distances of one query from decoded vectors, as sums over their codes.

    distance = 2**(2 * power) * (constant + sum of table[m, code_m]); the power is 0 unless values
    are so large or small that their squares would leave float32.
    """

    table: Float32Array  # [M, ksub]
    constant: np.float32
    power: int

    def in_units(self, distances: Float32Array) -> Float32Array:
        """Return distances in the units of the query; what overflows float32 is infinite."""
        if not self.power:
            return distances
        with np.errstate(all="ignore"):
            return np.ldexp(distances, 2 * self.power)


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


class TableMaker:
    """Makes the tables of queries for one codebook."""

    def __init__(self, prepared: PreparedCodebook) -> None:
        rotation = prepared.rotation
        # Converting the rotation takes as long as a scan, so it is done once.
        self._rotation = None if rotation is None else rotation.astype(np.float64)
        self._prepared, self._peak = prepared, _peak(prepared.centroids)

    @np.errstate(all="ignore")  # what is too small for float32 becomes 0
    def search_tables(self, query: Float32Array) -> SearchTables:
        """Return the SearchTables of a query [dim]."""
        turned, constant, prepared = query.astype(np.float64), 0.0, self._prepared
        turned /= np.linalg.norm(turned) or 1.0
        if prepared.mean is not None and self._rotation is not None:
            constant, turned = float(turned @ prepared.mean), turned @ self._rotation
        dots = np.empty((len(prepared.centroids), NUM_CENTROIDS), np.float32)
        kernels.pq.dot_table(turned.astype(np.float32), prepared, dots)
        return SearchTables(dots, self._norms.table, constant, self._norms.constant)

    @np.errstate(all="ignore")
    def distance_tables(self, query: Float32Array) -> DistanceTables:
        """Return the DistanceTables of a query [dim]."""
        turned, constant, prepared = query.astype(np.float64), 0.0, self._prepared
        if prepared.mean is not None and self._rotation is not None:
            centred = turned - prepared.mean
            turned = centred @ self._rotation
            # What a narrower rotation does not see of a query, no code can come near to.
            constant = max(float(centred @ centred - turned @ turned), 0.0)
        power = power_beyond(max(self._peak, _peak(turned)))
        if power:
            turned, constant = np.ldexp(turned, -power), float(np.ldexp(constant, -2 * power))
            prepared = prepared._replace(centroids=np.ldexp(prepared.centroids, -power))
        table = np.empty((len(prepared.centroids), NUM_CENTROIDS), np.float32)
        kernels.pq.distance_table(turned.astype(np.float32), prepared, table)
        return DistanceTables(table, np.float32(constant), power)

    @cached_property
    def _norms(self) -> Norms:
        return norms_of(self._prepared)


def _peak(values: Float32Array | Float64Array) -> float:
    return float(max(values.max(initial=0), -values.min(initial=0)))
