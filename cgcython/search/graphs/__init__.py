"""HNSW graphs of dense embedders, which propose records near a query."""
