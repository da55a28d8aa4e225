"""Kernels compiled for ARMv8.2-A with products of bytes and float16."""
