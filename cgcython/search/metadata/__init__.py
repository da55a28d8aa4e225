"""Finds records by their metadata: conditions, and an index that answers them."""
