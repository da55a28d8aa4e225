"""Conditions on the metadata of records, and the entries of metadata that they are about."""
