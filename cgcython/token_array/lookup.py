"""What late interaction looks up for product-quantization codes: dots and squared lengths.

A codebook with a mean decodes to mean + rotated centroids: what the mean adds to a dot or a length
is the same for all tokens, or depends on one code at a time, and so goes into the tables.
"""

import numpy as np

from cgcython import kernels
from cgcython.errors import InvalidInput
from cgcython.kernels.pq_layout import squared_norms
from cgcython.types import Array, CodebookLike, Float32Array, Float64Array


def require_codebook(codebook: object) -> None:
    """Raise InvalidInput unless something is the codebook of a product quantizer."""
    numbers = [getattr(codebook, name, None) for name in ("codebook_id", "num_subvectors")]
    if not all(isinstance(number, int) for number in numbers):
        actual = type(codebook).__name__
        raise InvalidInput(what="codebook", expected="a PQ8Codebook", actual=actual)


def squares(codebook: CodebookLike) -> Float64Array:
    """Return what each code adds to the squared length of a token [subvectors, 256]."""
    power, centroids = _in_range(codebook)
    mean = None if codebook.mean is None else power * codebook.mean
    table, constant = squared_norms(centroids, mean, codebook.rotation)
    table[0] += constant
    return table


def dots(codebook: CodebookLike, packed: Float32Array) -> Float32Array:
    """Return what each code adds to the dots with a query that maxsim.pack_query packed."""
    power, centroids = _in_range(codebook)
    from_mean: Array = np.zeros(1, np.float32)
    if codebook.rotation is not None and codebook.mean is not None:
        from_mean = (power * codebook.mean @ packed)[:, None]
        packed = np.matmul(codebook.rotation.T, packed)
    tables = np.empty((len(packed), *centroids.shape[:2], packed.shape[2]), np.float32)
    kernels.maxsim_pq.tables(packed, centroids, tables)
    tables[:, 0] += from_mean
    return tables


def _in_range(codebook: CodebookLike) -> tuple[np.float32, Float32Array]:
    """Return (power, centroids): times the power of two that takes the largest between 1 and 2."""
    peak = np.abs(codebook.centroids).max(initial=0)
    power = np.float32(2.0 ** np.clip(1 - np.frexp(peak)[1], -126, 126))
    return power, codebook.centroids * power
