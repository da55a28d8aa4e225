"""What late interaction looks up for product-quantization codes: dots and squared lengths.

A codebook with a mean decodes to mean + rotated centroids: what the mean adds to a dot or a length
is the same for all tokens, or depends on one code at a time, and so goes into the tables.
"""

import numpy as np

from cgcython import kernels


def squares(codebook):
    """Return what each code adds to the squared length of a token [subvectors, 256]."""
    power, centroids = _in_range(codebook)
    centroids = centroids.astype(np.float64)
    found = (centroids**2).sum(axis=2)
    if codebook.rotation is not None:
        mean = power * codebook.mean.astype(np.float64)
        parts = (mean @ codebook.rotation).reshape(len(centroids), 1, -1)
        found += 2 * (centroids * parts).sum(axis=2)
        found[0] += mean @ mean
    return found


def dots(codebook, packed):
    """Return what each code adds to the dots with a query that maxsim.pack_query packed."""
    power, centroids = _in_range(codebook)
    from_mean = 0
    if codebook.rotation is not None:
        from_mean = (power * codebook.mean @ packed)[:, None]
        packed = np.matmul(codebook.rotation.T, packed)
    tables = np.empty((len(packed), *centroids.shape[:2], packed.shape[2]), np.float32)
    kernels.maxsim_pq.tables(packed, centroids, tables)
    tables[:, 0] += from_mean
    return tables


def _in_range(codebook):
    """Return (power, centroids): times the power of two that takes the largest between 1 and 2."""
    peak = np.abs(codebook.centroids).max(initial=0)
    power = np.float32(2.0 ** np.clip(1 - np.frexp(peak)[1], -126, 126))
    return power, codebook.centroids * power
