"""Guides find rows of a scan that may be near a query, without reading the codes of all rows."""
