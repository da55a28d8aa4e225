"""Scans of each method, and how a query is scored against their rows."""
