"""Inner tiles of the sparse kernels (see inner/sparse/fields.h)."""
from libc.stdint cimport uint16_t, uint64_t as u64
from cgcython.kernels.inner.types cimport f32, u8, u32

cdef extern from "inner/sparse/fields.h" nogil:
    ctypedef u32 v8 "cg_u8"
    uint16_t read16 "cg_read16"(const u8 *p)
    u32 read32 "cg_read32"(const u8 *p)
    u64 read64 "cg_read64"(const u8 *p)
    void write32 "cg_write32"(u8 *p, u32 v)
    void write64 "cg_write64"(u8 *p, u64 v)
    v8 load8 "cg_load8"(const u32 *p)
    void store8 "cg_store8"(u32 *p, v8 v)
    v8 count8 "cg_count8"(u32 first)
    int PLACES "CG_PLACES"
    Py_ssize_t store_places "cg_store_places"(u32 *to, const u8 *bits, u32 first)
    ctypedef u64 fields "cg_fields"
    fields fields_of "cg_fields_of"(u32 width)
    v8 unpack8 "cg_unpack8"(u64 packed, fields where, u32 width)
    u64 pack8 "cg_pack8"(v8 values, fields where, u32 width)
    u64 pack_bits "cg_pack_bits"(const u8 *p)
    void round_halves "cg_round_halves"(const f32 *p, u8 *to)
    void widen_halves "cg_widen_halves"(const u8 *p, f32 *to)
    ctypedef float f4 "cg_f4"
    f4 load4 "cg_load4"(const f32 *p)
    void store4 "cg_store4"(f32 *p, f4 v)
    f4 gather4 "cg_gather4"(const f32 *query, const u32 *indices)
    bint any_above16 "cg_any_above16"(const u32 *indices, u32 last)
    bint any_marked16 "cg_any_marked16"(const u8 *marks, u32 mask, const u32 *indices)
    ctypedef float f8 "cg_f8"
    f8 load_f8 "cg_load_f8"(const f32 *p)
    void store_f8 "cg_store_f8"(f32 *p, f8 v)
    f8 add_matches "cg_add_matches"(
        const u32 *a, const f32 *a_weights, const u32 *b, const f32 *b_weights, f8 sums
    )
    Py_ssize_t step8 "cg_step8"(u32 last, u32 other)
