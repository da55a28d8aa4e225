"""E4M3 codes in registers, for every kernel that writes them or scores them where they lie."""
from cgcython.kernels._types cimport u8
from cgcython.kernels._vector cimport v16, vf, vu

cdef extern from "_e4m3.h" nogil:
    vf load_e4m3 "cg_load_e4m3"(const u8 *codes)
    v16 load16_e4m3 "cg_load16_e4m3"(const u8 *codes)
    vu encode_lanes "cg_encode_e4m3"(vf x)
