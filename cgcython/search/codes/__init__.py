"""Codes in memory without a store: kept in files, and searched by distance."""
