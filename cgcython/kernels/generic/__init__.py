"""Kernels compiled from vector types alone, for any processor."""
