"""Faces that other packages expect: sentence-transformers' function, codecs of numcodecs and zarr.

The packages themselves are imported only where one of their faces is used.
"""
