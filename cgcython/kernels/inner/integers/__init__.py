"""Loops over small whole numbers."""
