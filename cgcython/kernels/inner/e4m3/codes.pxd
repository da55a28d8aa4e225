"""E4M3 codes in registers, for every kernel that writes them or scores them where they lie."""
from cgcython.kernels.inner.types cimport f32, u8
from cgcython.kernels.inner.simd.vector cimport v16, vf

cdef extern from "inner/e4m3/codes.h" nogil:
    vf load_e4m3 "cg_load_e4m3"(const u8 *codes)
    v16 load16_e4m3 "cg_load16_e4m3"(const u8 *codes)
    # Of four vectors of values: times a factor at most 448, or any.
    void encode_four "cg_encode_e4m3"(const f32 *values, vf factor, u8 *codes)
    void encode_any_four "cg_encode_any_e4m3"(const f32 *values, u8 *codes)
