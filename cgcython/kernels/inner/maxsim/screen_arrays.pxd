"""The arrays that a screened late interaction reads: those of a query, and those of tokens."""
from libc.stdint cimport uint8_t


cdef struct ScreenQuery:
    const float *packed         # [blocks, dim, 32], as maxsim packs a query
    const float *rows           # [blocks * 32, dim]
    const signed char *numbers  # [blocks, lines, 128]
    Py_ssize_t count            # query tokens
    Py_ssize_t dim


cdef struct ScreenTokens:
    const float *values         # [tokens, dim]
    const float *norms          # [tokens], as maxsim writes inverse norms
    const uint8_t *codes        # [tokens, dim]
    const float *bounds         # [tokens, 2]: step and radius of each
