"""Quantized embeddings at C speed."""
