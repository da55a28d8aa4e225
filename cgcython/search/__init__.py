"""Finds fingerprints: exact scans over the codes of each embedder, fused by reciprocal rank."""

from cgcython.search.store import FingerprintStore, Hit

__all__ = ["FingerprintStore", "Hit"]
