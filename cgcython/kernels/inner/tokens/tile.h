/* Cosines in whole numbers: 16-bit tokens, two dimensions per multiply-add, 32-bit sums.

   Tokens lie as [block][pair of dimensions][CG_BLOCK tokens], which serves as rows and as columns. */
#ifndef CGCYTHON_TOKENS_H
#define CGCYTHON_TOKENS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_BLOCK (2 * CG_LANES)
#if defined(__AVX512F__)
#define CG_ROWS 8
#else
#define CG_ROWS 4
#endif
#define CG_TOGETHER 4
#define CG_OWN __attribute__((noinline)) /* a symbol of its own, whose width can be checked */
#define CG_UNROLL _Pragma("GCC unroll 16")

typedef uint16_t cg_vh __attribute__((vector_size(CG_VECTOR_BYTES / 2))); /* one per lane */

CG_INLINE cg_vi cg_add_pairs(cg_vi sum, cg_vi a, cg_vi b) {
#if defined(__AVX512VNNI__)
    return (cg_vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512F__)
    return sum + (cg_vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX__)
    return sum + (cg_vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + (cg_vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

/* Sums of 2**30 are a cosine of 1, which becomes 65535; -1 becomes 0. */
CG_INLINE void cg_store_cosines(uint16_t *p, cg_vi sums) {
    cg_vi shifted = (sums >> 15) + 32768;
    shifted &= ~(shifted < 0);
    cg_vi over = shifted > 65535;
    cg_vh narrow = __builtin_convertvector((shifted & ~over) | (over & 65535), cg_vh);
    memcpy(p, &narrow, sizeof narrow);
}

/* Write the cosines of CG_ROWS tokens with one block; rows and columns are [pairs][CG_BLOCK]. */
static CG_OWN void cg_cosines(const int32_t *rows, const int32_t *columns, ptrdiff_t pairs,
                              uint16_t *out, ptrdiff_t stride) {
    cg_vi a[CG_ROWS], b[CG_ROWS];
    CG_UNROLL for (int t = 0; t < CG_ROWS; t++) a[t] = b[t] = (cg_vi){0};
    for (ptrdiff_t k = 0; k < pairs; k++, rows += CG_BLOCK, columns += CG_BLOCK) {
        cg_vi left, right;
        memcpy(&left, columns, sizeof left);
        memcpy(&right, columns + CG_LANES, sizeof right);
        CG_UNROLL for (int t = 0; t < CG_ROWS; t++) {
            cg_vi row = rows[t] - (cg_vi){0};
            a[t] = cg_add_pairs(a[t], row, left);
            b[t] = cg_add_pairs(b[t], row, right);
        }
    }
    CG_UNROLL for (int t = 0; t < CG_ROWS; t++) {
        cg_store_cosines(out + t * stride, a[t]);
        cg_store_cosines(out + t * stride + CG_LANES, b[t]);
    }
}

/* Write a block of cosines mirrored, 8 by 8: rows four apart are interleaved, three times. */
static void cg_mirror(const uint16_t *block, uint16_t *out, ptrdiff_t stride) {
    for (int i = 0; i < CG_BLOCK; i += 8)
        for (int j = 0; j < CG_BLOCK; j += 8) {
            __m128i a[8], b[8];
            CG_UNROLL for (int t = 0; t < 8; t++)
                a[t] = _mm_loadu_si128((const __m128i *)(block + (i + t) * stride + j));
            CG_UNROLL for (int t = 0; t < 4; t++) {
                b[2 * t] = _mm_unpacklo_epi16(a[t], a[t + 4]);
                b[2 * t + 1] = _mm_unpackhi_epi16(a[t], a[t + 4]);
            }
            CG_UNROLL for (int t = 0; t < 4; t++) {
                a[2 * t] = _mm_unpacklo_epi16(b[t], b[t + 4]);
                a[2 * t + 1] = _mm_unpackhi_epi16(b[t], b[t + 4]);
            }
            CG_UNROLL for (int t = 0; t < 4; t++) {
                b[2 * t] = _mm_unpacklo_epi16(a[t], a[t + 4]);
                b[2 * t + 1] = _mm_unpackhi_epi16(a[t], a[t + 4]);
            }
            CG_UNROLL for (int t = 0; t < 8; t++)
                _mm_storeu_si128((__m128i *)(out + (j + t) * stride + i), b[t]);
        }
}

/* Cosines side by side, one per lane of 32 bits: the smaller, the difference or 0, and which of
   one row are larger, a bit per lane. */
#if defined(__AVX512F__)
typedef __m256i cg_cosine;
#define CG_LOAD_COSINES(p) _mm256_loadu_si256((const __m256i *)(p))
#define CG_SET_COSINES(x) _mm256_set1_epi16((short)(x))
#define CG_MIN_COSINES _mm256_min_epu16
#define CG_BEYOND _mm256_subs_epu16
#define CG_WIDEN(v) (cg_vu)_mm512_cvtepu16_epi32(v)
static uint32_t cg_rises(const uint16_t *row, const uint16_t *best) {
    return _mm256_cmpgt_epu16_mask(CG_LOAD_COSINES(row), CG_LOAD_COSINES(best));
}
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) {
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
#else
typedef __m128i cg_cosine;
#define CG_SET_COSINES(x) _mm_set1_epi16((short)(x))
#define CG_MIN_COSINES _mm_min_epu16
#define CG_BEYOND _mm_subs_epu16
#if defined(__AVX2__)
#define CG_LOAD_COSINES(p) _mm_loadu_si128((const __m128i *)(p))
#define CG_WIDEN(v) (cg_vu)_mm256_cvtepu16_epi32(v)
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) {
    return _mm256_movemask_ps((__m256)(cg_vi)(a == b));
}
#else
#define CG_LOAD_COSINES(p) _mm_loadl_epi64((const __m128i *)(p))
#define CG_WIDEN(v) (cg_vu)_mm_cvtepu16_epi32(v)
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) { return _mm_movemask_ps((__m128)(cg_vi)(a == b)); }
#endif
static uint32_t cg_rises(const uint16_t *row, const uint16_t *best) {
    __m128i beyond = CG_BEYOND(CG_LOAD_COSINES(row), CG_LOAD_COSINES(best));
    __m128i same = _mm_cmpeq_epi16(beyond, _mm_setzero_si128());
    uint32_t lanes = _mm_movemask_epi8(_mm_packs_epi16(same, same));
    return ~lanes & ((1u << CG_LANES) - 1);
}
#endif

/* The lowest position of the highest of n, a multiple of CG_LANES. */
static ptrdiff_t cg_highest(const uint32_t *worth, ptrdiff_t n) {
    cg_vu most = cg_load_u(worth);
    for (ptrdiff_t i = CG_LANES; i < n; i += CG_LANES) most = cg_max_u(most, cg_load_u(worth + i));
    cg_vu top = cg_set_u(cg_top_u(most));
    for (ptrdiff_t i = 0;; i += CG_LANES) {
        uint32_t found = cg_equal(cg_load_u(worth + i), top);
        if (found) return i + __builtin_ctz(found);
    }
}

/* Take from each of n what its cosines lie above `before`, up to `after`, with some tokens. */
static CG_OWN void cg_lower(uint32_t *worth, ptrdiff_t n, const uint16_t *cosines,
                            const ptrdiff_t *tokens, const uint16_t *before,
                            const uint16_t *after) {
    const uint16_t *rows[CG_TOGETHER];
    cg_cosine low[CG_TOGETHER], high[CG_TOGETHER];
    CG_UNROLL for (int t = 0; t < CG_TOGETHER; t++) {
        rows[t] = cosines + tokens[t] * n;
        low[t] = CG_SET_COSINES(before[t]);
        high[t] = CG_SET_COSINES(after[t]);
    }
    for (ptrdiff_t i = 0; i < n; i += CG_LANES) {
        cg_vu sums = cg_load_u(worth + i);
        CG_UNROLL for (int t = 0; t < CG_TOGETHER; t++) {
            cg_cosine here = CG_LOAD_COSINES(rows[t] + i);
            sums -= CG_WIDEN(CG_BEYOND(CG_MIN_COSINES(here, high[t]), low[t]));
        }
        cg_store_u(worth + i, sums);
    }
}

#endif
