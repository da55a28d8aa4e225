"""Finds fingerprints: exact scans over the codes of each embedder, fused by reciprocal rank."""

from cgcython.search.hits import Hit
from cgcython.search.many import SearchResult
from cgcython.search.store import FingerprintStore

__all__ = ["FingerprintStore", "Hit", "SearchResult"]
