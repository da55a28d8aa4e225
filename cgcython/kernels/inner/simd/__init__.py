"""The same names on every machine."""
