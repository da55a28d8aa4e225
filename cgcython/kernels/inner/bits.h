/* Comparisons to bits, bits to signs, and counts of bits. */
#ifndef CGCYTHON_BITS_H
#define CGCYTHON_BITS_H

#include "inner/simd/vector.h"

/* Turns each byte around: processors put the first lane into the lowest bit, we into the highest. */
CG_INLINE uint64_t cg_turn_bytes(uint64_t x) {
    x = (x >> 1 & 0x5555555555555555U) | (x & 0x5555555555555555U) << 1;
    x = (x >> 2 & 0x3333333333333333U) | (x & 0x3333333333333333U) << 2;
    return (x >> 4 & 0x0F0F0F0F0F0F0F0FU) | (x & 0x0F0F0F0F0F0F0F0FU) << 4;
}

/* Which of 64 floats reach the threshold, the first in the lowest bit; raises the magnitudes in
   peak, as whole numbers, to theirs. */
CG_INLINE uint64_t cg_at_least64(const float *p, cg_vf threshold, cg_vu *peak) {
    uint64_t bits = 0;
    CG_UNROLL for (int i = 0; i < 64; i += CG_LANES) {
        cg_vf v = cg_load(p + i);
        bits |= (uint64_t)cg_at_least(v, threshold) << i;
        *peak = cg_max_u(*peak, cg_bits(v) & 0x7FFFFFFF);
    }
    return bits;
}

/* +1 and -1 for 64 bits, the lowest first. */
CG_INLINE void cg_signs64(uint64_t bits, float *p) {
    const uint32_t lane_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192,
                                    16384, 32768};
    cg_vu own = cg_load_u(lane_bits);
    CG_UNROLL for (int i = 0; i < 64; i += CG_LANES) {
        cg_vu is_clear = (cg_vu)((cg_set_u((uint32_t)(bits >> i)) & own) == 0);
        cg_store(p + i, cg_floats((is_clear & 0x80000000U) | 0x3F800000));
    }
}

/* How many bits differ between CG_VECTOR_BYTES bytes, as counts per eight bytes. */
CG_INLINE cg_vq cg_differing(const uint8_t *a, const uint8_t *b) {
    return cg_ones_q(cg_load_c(a) ^ cg_load_c(b));
}

CG_INLINE uint64_t cg_hamming(const uint8_t *a, const uint8_t *b, ptrdiff_t n) {
    cg_vq counts = {0};
    uint64_t total = 0, x, y;
    ptrdiff_t i = 0;
    for (; i + CG_VECTOR_BYTES <= n; i += CG_VECTOR_BYTES) counts += cg_differing(a + i, b + i);
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        total += (uint64_t)cg_ones(x ^ y);
    }
    for (; i < n; i++) total += (uint64_t)cg_ones(a[i] ^ b[i]);
    return total + cg_sum_q(counts);
}

#endif
