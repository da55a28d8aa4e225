"""Loops over E4M3 codes."""
