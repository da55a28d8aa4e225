"""Latency, sizes and ratios; what each may cost stands beside it (see gates.py)."""
