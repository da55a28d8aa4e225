/* Sums that tell how closely the levels of a few widths follow a token, in exact whole numbers. */
#ifndef CGCYTHON_LEVELS_H
#define CGCYTHON_LEVELS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_TRIED 4 /* widths whose sums stay in registers */

CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) { /* of numbers from 0 to 32767 */
#if defined(__AVX512VNNI__)
    return (cg_vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512F__)
    return sum + (cg_vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return sum + (cg_vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + (cg_vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

CG_INLINE int32_t cg_total(cg_vi v) {
#if defined(__AVX512F__)
    return _mm512_reduce_add_epi32((__m512i)v);
#else
#if defined(__AVX2__)
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128((__m256i)v),
                              _mm256_extracti128_si256((__m256i)v, 1));
#else
    __m128i s = (__m128i)v;
#endif
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
#endif
}

/* Write, for each width, the sums of q * |number| and of q * (q + 1), where q counts whole widths
   in a number and is at most `highest`. Of n numbers, up to 4096 and zeros up to a whole vector,
   which add nothing. Half a unit more is never so near a whole number of widths that roundings
   could cross it. */
CG_INLINE void cg_level_sums(const int32_t *numbers, ptrdiff_t n, const float *inverses,
                             int highest, int32_t *dots, int32_t *squares) {
    const cg_vf most = cg_set(highest + 0.5f);
    cg_vi dot[CG_TRIED] = {{0}}, square[CG_TRIED] = {{0}};
    for (ptrdiff_t k = 0; k < n; k += CG_LANES) {
        cg_vi size;
        memcpy(&size, numbers + k, sizeof size);
        size = (size ^ size >> 31) - (size >> 31);
        cg_vf middle = __builtin_convertvector(size, cg_vf) + 0.5f;
        _Pragma("GCC unroll 4") for (int t = 0; t < CG_TRIED; t++) {
            cg_vi q = __builtin_convertvector(cg_min(middle * inverses[t], most), cg_vi);
            dot[t] = cg_add_products(dot[t], q, size);
            square[t] = cg_add_products(square[t], q, q + 1);
        }
    }
    _Pragma("GCC unroll 4") for (int t = 0; t < CG_TRIED; t++) {
        dots[t] = cg_total(dot[t]);
        squares[t] = cg_total(square[t]);
    }
}

#endif
