"""All methods of this package: importing this module declares them."""

from cgcython.codecs import binary, float8, pq8, rq8, scalar, sparse, token_pruning

__all__ = ["binary", "float8", "pq8", "rq8", "scalar", "sparse", "token_pruning"]
