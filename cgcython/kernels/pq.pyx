"""The pq family."""
