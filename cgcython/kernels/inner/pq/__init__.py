"""Loops of product quantization."""
