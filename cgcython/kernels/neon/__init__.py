"""Kernels compiled for ARMv8-A."""
