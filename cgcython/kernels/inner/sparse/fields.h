/* Inner tiles of the sparse kernels: bit fields eight at a time, float16. */
#ifndef CGCYTHON_SPARSE_H
#define CGCYTHON_SPARSE_H

#include "inner/simd/vector.h"

CG_INLINE uint16_t cg_read16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
CG_INLINE uint32_t cg_read32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
CG_INLINE uint64_t cg_read64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
CG_INLINE void cg_write32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
CG_INLINE void cg_write64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

CG_INLINE cg_u8 cg_load8(const uint32_t *p) { cg_u8 v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store8(uint32_t *p, cg_u8 v) { memcpy(p, &v, sizeof v); }

CG_INLINE cg_u8 cg_count8(uint32_t first) { return (cg_u8){0, 1, 2, 3, 4, 5, 6, 7} + first; }


/* Whether any of sixteen indices falls into a marked slot: a mark is 1, and an index has the slot of
   its lowest bits, those of the mask. */
CG_INLINE int cg_any_marked16(const uint8_t *marks, uint32_t mask, const uint32_t *indices) {
    unsigned any = 0;
    CG_UNROLL for (int i = 0; i < 16; i += 2) {
        uint64_t two;
        memcpy(&two, indices + i, sizeof two);
        any |= marks[two & mask] | marks[two >> 32 & mask];
    }
    return any;
}

/* Eight sums of products: lane i adds the weight at a[i] times the one at the same index of b.
   Indices differ within a and within b. */
CG_INLINE cg_f8 cg_load_f8(const float *p) { cg_f8 v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_f8(float *p, cg_f8 v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_f8 cg_add_matches(const uint32_t *a, const float *a_weights, const uint32_t *b,
                               const float *b_weights, cg_f8 sums) {
    return cg_load_f8(a_weights) * cg_matches8(a, b, b_weights) + sums;
}

#endif
