"""Loops that choose, pool and lay out tokens."""
