/* Cosines in whole numbers: 16-bit tokens, two dimensions per multiply-add, 32-bit sums.

   Tokens lie as [block][pair of dimensions][CG_BLOCK tokens], which serves as rows and as columns. */
#ifndef CGCYTHON_TOKENS_H
#define CGCYTHON_TOKENS_H

#include <stddef.h>

#include "_vector.h"

#define CG_BLOCK (2 * CG_LANES)
#if defined(__AVX512F__)
#define CG_ROWS 8
#else
#define CG_ROWS 4
#endif
#define CG_UNROLL _Pragma("GCC unroll 16")

CG_INLINE cg_vf cg_from_int(cg_vu v) { return __builtin_convertvector((cg_vi)v, cg_vf); }

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
static void cg_cosines(const int32_t *rows, const int32_t *columns, ptrdiff_t pairs,
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

#endif
