"""What compilers know of bits and of memory that will be read (see compiler.h)."""
from cgcython.kernels.inner.types cimport u64

cdef extern from "inner/simd/compiler.h" nogil:
    int ones "cg_ones"(u64 bits)                    # how many bits are set
    int first_one "cg_first_one"(u64 bits)          # the lowest bit that is set; not of 0
    int leading_zeros "cg_leading_zeros"(u64 bits)  # not of 0
    void fetch "cg_fetch"(const void *p)                # into the first cache
    void fetch_second "cg_fetch_second"(const void *p)  # into the second and not the first
