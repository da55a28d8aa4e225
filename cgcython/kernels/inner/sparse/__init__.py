"""Loops over sparse vectors."""
