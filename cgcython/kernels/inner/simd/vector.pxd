"""Vector types declared as scalars: arithmetic on them is emitted verbatim (see inner/simd/vector.h)."""
from libc.stdint cimport uint32_t

from cgcython.kernels.inner.types cimport f32, u8, u32

cdef extern from "inner/simd/vector.h" nogil:
    ctypedef float vf "cg_vf"
    ctypedef uint32_t vu "cg_vu"
    int LANES "CG_LANES"
    enum:
        SLACK "CG_SLACK"
    f32 *aligned "cg_aligned"(f32 *p)
    vf load "cg_load"(const f32 *p)
    void store "cg_store"(f32 *p, vf v)
    vu load_u "cg_load_u"(const u32 *p)
    void store_u "cg_store_u"(u32 *p, vu v)
    vu load_bytes "cg_load_bytes"(const u8 *p)
    void store_bytes "cg_store_bytes"(u8 *p, vu v)
    vf set_all "cg_set"(f32 x)
    vu set_all_u "cg_set_u"(u32 x)
    vu bits "cg_bits"(vf v)
    vf floats "cg_floats"(vu v)
    vu below "cg_below"(vu a, vu b)
    vu select "cg_select"(vu mask, vu a, vu b)
    u32 above "cg_above"(vf a, vf b)
    vu max_u "cg_max_u"(vu a, vu b)
    u32 top_u "cg_top_u"(vu a)
    void store_bytes4 "cg_store_bytes4"(u8 *p, vu a, vu b, vu c, vu d)
    vf max_f "cg_max"(vf a, vf b)
    vf min_f "cg_min"(vf a, vf b)
    f32 lowest "cg_lowest"(vf v)

    ctypedef struct v16 "cg_v16":
        vf v0
    v16 load16 "cg_load16"(const f32 *p)
    v16 load16_part "cg_load16_part"(const f32 *p, Py_ssize_t n)
    v16 set16 "cg_set16"(f32 x)
    v16 mul16 "cg_mul16"(v16 a, v16 b)
    v16 sub16 "cg_sub16"(v16 a, v16 b)
    v16 mul_add16 "cg_mul_add16"(v16 a, v16 b, v16 c)
    f32 sum16 "cg_sum16"(v16 a)
