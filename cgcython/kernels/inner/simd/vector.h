/* The one place that knows vector widths and intrinsics.

   Kernels loop over `vf` as if it were a float: Cython emits + and * verbatim and the compiler
   turns each into one instruction of the level. Loads and stores go through memcpy, because rows
   are aligned to their elements only. */
#ifndef CGCYTHON_VECTOR_H
#define CGCYTHON_VECTOR_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define CG_VECTOR_BYTES 64
#elif defined(__AVX__)
#define CG_VECTOR_BYTES 32
#else
#define CG_VECTOR_BYTES 16
#endif

#define CG_LANES (CG_VECTOR_BYTES / 4)
#define CG_INLINE static inline __attribute__((always_inline))

typedef float cg_vf __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef int32_t cg_vi __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef uint32_t cg_vu __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef uint8_t cg_vb __attribute__((vector_size(CG_VECTOR_BYTES / 4))); /* one byte per lane */

/* The first multiple of 64 bytes: a vector over two cache lines costs two reads. Arrays on the
   stack leave CG_SLACK floats for it. */
#define CG_SLACK 16
CG_INLINE float *cg_aligned(float *p) { return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

CG_INLINE cg_vf cg_load(const float *p) { cg_vf v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store(float *p, cg_vf v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vu cg_load_u(const uint32_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_u(uint32_t *p, cg_vu v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) {
    cg_vb b; memcpy(&b, p, sizeof b);
#if defined(__AVX__)
    return __builtin_convertvector(b, cg_vu);
#else /* gcc would move each byte on its own */
    uint32_t four; memcpy(&four, &b, sizeof four);
    return (cg_vu)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
#endif
}
CG_INLINE void cg_store_bytes(uint8_t *p, cg_vu v) {
    cg_vb b = __builtin_convertvector(v, cg_vb); memcpy(p, &b, sizeof b);
}
CG_INLINE cg_vf cg_set(float x) { return x - (cg_vf){0}; }
CG_INLINE cg_vu cg_set_u(uint32_t x) { return x - (cg_vu){0}; }
CG_INLINE cg_vu cg_bits(cg_vf v) { return (cg_vu)v; }
CG_INLINE cg_vf cg_floats(cg_vu v) { return (cg_vf)v; }
CG_INLINE cg_vu cg_below(cg_vu a, cg_vu b) { return (cg_vu)((cg_vi)a < (cg_vi)b); }
CG_INLINE cg_vu cg_select(cg_vu mask, cg_vu a, cg_vu b) { return (a & mask) | (b & ~mask); }

/* Maximum and minimum of floats are b where either is NaN; `above` has one bit per lane, 0 where
   either is NaN. Four vectors of numbers below 256 become 4 * CG_LANES bytes in order. */
#if defined(__AVX512F__)
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm512_max_ps((__m512)a, (__m512)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm512_min_ps((__m512)a, (__m512)b); }
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) {
    return (cg_vu)_mm512_max_epu32((__m512i)a, (__m512i)b);
}
CG_INLINE uint32_t cg_top_u(cg_vu a) { return _mm512_reduce_max_epu32((__m512i)a); }
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i ab = _mm512_packus_epi32((__m512i)a, (__m512i)b);
    __m512i cd = _mm512_packus_epi32((__m512i)c, (__m512i)d);
    __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd));
    memcpy(p, &bytes, sizeof bytes);
}
#elif defined(__AVX2__)
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm256_max_ps((__m256)a, (__m256)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm256_min_ps((__m256)a, (__m256)b); }
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ));
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) {
    return (cg_vu)_mm256_max_epu32((__m256i)a, (__m256i)b);
}
CG_INLINE uint32_t cg_top_u(cg_vu a) {
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128((__m256i)a),
                              _mm256_extracti128_si256((__m256i)a, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1)));
}
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    __m256i ab = _mm256_packus_epi32((__m256i)a, (__m256i)b);
    __m256i cd = _mm256_packus_epi32((__m256i)c, (__m256i)d);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd),
                                                _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    memcpy(p, &bytes, sizeof bytes);
}
#else
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm_max_ps((__m128)a, (__m128)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm_min_ps((__m128)a, (__m128)b); }
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return _mm_movemask_ps(_mm_cmpgt_ps((__m128)a, (__m128)b));
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) { return (cg_vu)_mm_max_epu32((__m128i)a, (__m128i)b); }
CG_INLINE uint32_t cg_top_u(cg_vu a) {
    __m128i m = _mm_max_epu32((__m128i)a, _mm_shuffle_epi32((__m128i)a, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1)));
}
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    __m128i bytes = _mm_packus_epi16(_mm_packus_epi32((__m128i)a, (__m128i)b),
                                     _mm_packus_epi32((__m128i)c, (__m128i)d));
    memcpy(p, &bytes, sizeof bytes);
}
#endif

/* Sixteen lanes whatever the vector width: sums keep one order, so every level with FMA returns
   the same bits. Named parts stay in registers where an array of them would not. */
#if CG_LANES == 16
typedef struct { cg_vf v0; } cg_v16;
#define CG_PARTS(DO) DO(0)
#elif CG_LANES == 8
typedef struct { cg_vf v0, v1; } cg_v16;
#define CG_PARTS(DO) DO(0) DO(1)
#else
typedef struct { cg_vf v0, v1, v2, v3; } cg_v16;
#define CG_PARTS(DO) DO(0) DO(1) DO(2) DO(3)
#endif

CG_INLINE cg_v16 cg_load16(const float *p) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_load(p + i * CG_LANES);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}
CG_INLINE cg_v16 cg_set16(float x) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_set(x);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}
CG_INLINE cg_v16 cg_load16_part(const float *p, long n) { /* zeros behind the last of n floats */
    float some[16] = {0};
    memcpy(some, p, n * sizeof *p);
    return cg_load16(some);
}
CG_INLINE cg_v16 cg_mul16(cg_v16 a, cg_v16 b) {
#define CG_DO(i) a.v##i = a.v##i * b.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return a;
}
CG_INLINE cg_v16 cg_mul_add16(cg_v16 a, cg_v16 b, cg_v16 c) {
#define CG_DO(i) c.v##i = a.v##i * b.v##i + c.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return c;
}
CG_INLINE float cg_sum16(cg_v16 a) { /* lanes i and i + 8, then 4, 2 and 1 apart */
#if defined(__AVX512F__)
    __m512 all = (__m512)a.v0;
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX2__)
    __m256 half = _mm256_add_ps((__m256)a.v0, (__m256)a.v1);
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#else
    __m128 s = _mm_add_ps(_mm_add_ps((__m128)a.v0, (__m128)a.v2),
                          _mm_add_ps((__m128)a.v1, (__m128)a.v3));
#endif
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

#endif
