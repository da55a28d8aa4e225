"""Vector types declared as scalars: arithmetic on them is emitted verbatim (see vector.h)."""
from libc.stdint cimport uint16_t as u16, uint32_t

from cgcython.kernels.inner.types cimport f32, i16, u8, u32

cdef extern from "inner/simd/vector.h" nogil:
    ctypedef float vf "cg_vf"
    ctypedef uint32_t vu "cg_vu"
    ctypedef u8 vc "cg_vc"
    ctypedef float f4 "cg_f4"
    int LANES "CG_LANES"
    enum:
        VECTOR_BYTES "CG_VECTOR_BYTES"
    enum:
        SLACK "CG_SLACK"
    f32 *aligned "cg_aligned"(f32 *p)
    vf load "cg_load"(const f32 *p)
    void store "cg_store"(f32 *p, vf v)
    vu load_u "cg_load_u"(const u32 *p)
    void store_u "cg_store_u"(u32 *p, vu v)
    vc load_c "cg_load_c"(const void *p)
    vc load_part_c "cg_load_part_c"(const void *p, Py_ssize_t n)
    void store_c "cg_store_c"(void *p, vc v)
    f4 load4 "cg_load4"(const f32 *p)
    void store4 "cg_store4"(f32 *p, f4 v)
    void transpose4 "cg_transpose4"(f4 *a, f4 *b, f4 *c, f4 *d)
    f32 sum_lanes "cg_sum_lanes"(vf v)
    f4 sums4 "cg_sums4"(vf a, vf b, vf c, vf d)
    # bfloat16, ties to even: of one number, and in the upper half of each lane without denormals.
    f32 wide "cg_wide"(u16 half)
    u16 half "cg_half"(f32 x)
    vu round_bf16 "cg_round_bf16"(vf v)
    vu load_widened "cg_load_widened"(const i16 *p)
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
    void store16 "cg_store16"(f32 *p, v16 a)
    v16 add16 "cg_add16"(v16 a, v16 b)
    v16 max16 "cg_max16"(v16 a, v16 b)
    v16 mul16 "cg_mul16"(v16 a, v16 b)
    v16 sub16 "cg_sub16"(v16 a, v16 b)
    v16 mul_add16 "cg_mul_add16"(v16 a, v16 b, v16 c)
    f32 sum16 "cg_sum16"(v16 a)
