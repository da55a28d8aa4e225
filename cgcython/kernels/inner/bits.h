/* Comparisons to bits, bits to signs, and counts of bits. */
#ifndef CGCYTHON_BITS_H
#define CGCYTHON_BITS_H

#include "inner/simd/vector.h"

#if defined(__AVX512F__)
#define CG_AT_LEAST(a, b) ((uint64_t)_mm512_cmp_ps_mask((__m512)(a), (__m512)(b), _CMP_GE_OQ))
#elif defined(__AVX2__)
#define CG_AT_LEAST(a, b) \
    ((uint64_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)(a), (__m256)(b), _CMP_GE_OQ)))
#else
#define CG_AT_LEAST(a, b) ((uint64_t)_mm_movemask_ps(_mm_cmpge_ps((__m128)(a), (__m128)(b))))
#endif

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
#pragma GCC unroll 16
    for (int i = 0; i < 64; i += CG_LANES) {
        cg_vf v = cg_load(p + i);
        bits |= CG_AT_LEAST(v, threshold) << i;
        *peak = cg_max_u(*peak, cg_bits(v) & 0x7FFFFFFF);
    }
    return bits;
}

/* +1 and -1 for 64 bits, the lowest first. */
CG_INLINE void cg_signs64(uint64_t bits, float *p) {
    const uint32_t lane_bits[16] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192,
                                    16384, 32768};
    cg_vu own = cg_load_u(lane_bits);
#pragma GCC unroll 16
    for (int i = 0; i < 64; i += CG_LANES) {
        cg_vu is_clear = (cg_vu)((cg_set_u((uint32_t)(bits >> i)) & own) == 0);
        cg_store(p + i, cg_floats((is_clear & 0x80000000U) | 0x3F800000));
    }
}

/* How many bits differ between CG_VECTOR_BYTES bytes, as counts per eight bytes. */
typedef uint64_t cg_vq __attribute__((vector_size(CG_VECTOR_BYTES)));
#if defined(__AVX512VPOPCNTDQ__)
CG_INLINE cg_vq cg_differing(const uint8_t *a, const uint8_t *b) {
    __m512i x = _mm512_xor_si512(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
    return (cg_vq)_mm512_popcnt_epi64(x);
}
CG_INLINE uint64_t cg_total(cg_vq v) { return _mm512_reduce_add_epi64((__m512i)v); }
#elif defined(__AVX512F__)
CG_INLINE cg_vq cg_differing(const uint8_t *a, const uint8_t *b) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i counts = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    __m512i x = _mm512_xor_si512(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
    __m512i lower = _mm512_shuffle_epi8(counts, _mm512_and_si512(x, low));
    __m512i upper = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(x, 4), low));
    return (cg_vq)_mm512_sad_epu8(_mm512_add_epi8(lower, upper), _mm512_setzero_si512());
}
CG_INLINE uint64_t cg_total(cg_vq v) { return _mm512_reduce_add_epi64((__m512i)v); }
#elif defined(__AVX2__)
CG_INLINE cg_vq cg_differing(const uint8_t *a, const uint8_t *b) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i counts = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const void *)a),
                                 _mm256_loadu_si256((const void *)b));
    __m256i lower = _mm256_shuffle_epi8(counts, _mm256_and_si256(x, low));
    __m256i upper = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(x, 4), low));
    return (cg_vq)_mm256_sad_epu8(_mm256_add_epi8(lower, upper), _mm256_setzero_si256());
}
CG_INLINE uint64_t cg_total(cg_vq v) {
    __m128i s = _mm_add_epi64(_mm256_castsi256_si128((__m256i)v),
                              _mm256_extracti128_si256((__m256i)v, 1));
    return _mm_cvtsi128_si64(s) + _mm_extract_epi64(s, 1);
}
#else
CG_INLINE cg_vq cg_differing(const uint8_t *a, const uint8_t *b) {
    uint64_t x[2], y[2];
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    return (cg_vq){__builtin_popcountll(x[0] ^ y[0]), __builtin_popcountll(x[1] ^ y[1])};
}
CG_INLINE uint64_t cg_total(cg_vq v) { return v[0] + v[1]; }
#endif

CG_INLINE uint64_t cg_hamming(const uint8_t *a, const uint8_t *b, long n) {
    cg_vq counts = {0};
    uint64_t total = 0, x, y;
    long i = 0;
    for (; i + CG_VECTOR_BYTES <= n; i += CG_VECTOR_BYTES) counts += cg_differing(a + i, b + i);
    for (; i + 8 <= n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        total += __builtin_popcountll(x ^ y);
    }
    for (; i < n; i++) total += __builtin_popcount(a[i] ^ b[i]);
    return total + cg_total(counts);
}

#endif
