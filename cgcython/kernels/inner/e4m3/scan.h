/* Rows of E4M3 codes times one vector, 64 codes at a time and about as fast as memory gives them.

   A code becomes the two upper bytes of a float, its value times 2**-8, while it is still one byte
   among many: bytes of both kinds are interleaved, and each 32-bit lane then holds two values. So
   the values come out of order, and the vector is laid out once to meet them. */
#ifndef CGCYTHON_E4M3_SCAN_H
#define CGCYTHON_E4M3_SCAN_H

#include <math.h>
#include "inner/simd/vector.h"

#define CG_SCAN_CODES 64
#define CG_SCAN_AHEAD 2048 /* bytes: the processor itself stops reading ahead at each page */

/* One code in each byte. Rows meet the vector together where there are registers for their sums:
   one row alone waits for its sums. */
#if defined(__AVX512F__)
#define CG_SCAN_ROWS 4
typedef __m512i cg_vc;
#define CG_CODES(name) _mm512_##name
#define CG_EACH(bytes) _mm512_broadcast_i32x4(bytes)
#define CG_WITHOUT(mask, a) _mm512_andnot_si512(mask, a)
#elif defined(__AVX2__)
#define CG_SCAN_ROWS 2
typedef __m256i cg_vc;
#define CG_CODES(name) _mm256_##name
#define CG_EACH(bytes) _mm256_broadcastsi128_si256(bytes)
#define CG_WITHOUT(mask, a) _mm256_andnot_si256(mask, a)
#else
#define CG_SCAN_ROWS 1
typedef __m128i cg_vc;
#define CG_CODES(name) _mm_##name
#define CG_EACH(bytes) (bytes)
#define CG_WITHOUT(mask, a) _mm_andnot_si128(mask, a)
#endif

/* The upper byte of normal numbers by the half of a code that holds its sign and most of its
   exponent, whose bias becomes 112 more; and how both bytes differ for sizes below 8, which are
   below the normal numbers, by twice the size: a place of 128 or more changes nothing. */
CG_INLINE cg_vc cg_upper_of(cg_vc half) {
    const __m128i bytes = _mm_setr_epi8(
        0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0xB8 - 256, 0xB9 - 256, 0xBA - 256,
        0xBB - 256, 0xBC - 256, 0xBD - 256, 0xBE - 256, 0xBF - 256);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), half);
}
CG_INLINE cg_vc cg_upper_change(cg_vc place) {
    const __m128i bytes = _mm_setr_epi8(0x38, 0, 15, 0, 15, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), place);
}
CG_INLINE cg_vc cg_lower_change(cg_vc place) {
    const __m128i bytes = _mm_setr_epi8(0, 0, 0x10, 0, 0xA0 - 256, 0, 0xF0 - 256, 0, 0x40, 0,
                                        0x70, 0, 0x20, 0, 0x10, 0);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), place);
}

typedef struct { cg_v16 even, odd; } cg_sums; /* of the products of one row */
typedef struct { cg_vf v0, v1, v2, v3; } cg_values;

/* Joins the two upper bytes of each float, whose others are 0. */
CG_INLINE cg_values cg_joined(cg_vc lower, cg_vc upper) {
    const cg_vc upper_half = CG_CODES(set1_epi32)(0xFFFF0000);
    cg_vc low = CG_CODES(unpacklo_epi8)(lower, upper), high = CG_CODES(unpackhi_epi8)(lower, upper);
    cg_values r = {(cg_vf)CG_CODES(slli_epi32)(low, 16), (cg_vf)(low & upper_half),
                 (cg_vf)CG_CODES(slli_epi32)(high, 16), (cg_vf)(high & upper_half)};
    return r;
}

/* The values of codes; raises `top` to twice their sizes. Few constants: the registers hold the sums
   of two rows beside them. */
#define CG_TWICE_NAN 0xFE
CG_INLINE cg_values cg_values_of(cg_vc codes, cg_vc *top) {
    const cg_vc mask = CG_CODES(set1_epi8)(-16);
    cg_vc twice = CG_CODES(add_epi8)(codes, codes);
    cg_vc place = CG_CODES(adds_epu8)(twice, CG_CODES(set1_epi8)(0x70));
    cg_vc half = CG_WITHOUT(mask, CG_CODES(srli_epi16)(codes, 4));
    *top = CG_CODES(max_epu8)(*top, twice);
    return cg_joined((CG_CODES(slli_epi16)(codes, 4) & mask) ^ cg_lower_change(place),
                     cg_upper_of(half) ^ cg_upper_change(place));
}

/* Adds the products of 64 codes and what was laid out, or themselves. */
CG_INLINE void cg_scan_codes(const uint8_t *codes, const float *x, int squares, cg_sums *sums,
                             cg_vc *top) {
    cg_vc some;
    cg_values r;
#define CG_ADD(i, j, half) \
    sums->half.v##i = sums->half.v##i + r.v##j * \
        (squares ? r.v##j : cg_load(x + i * CG_VECTOR_BYTES + j * CG_LANES));
#define CG_DO(i) \
    memcpy(&some, codes + i * CG_VECTOR_BYTES, sizeof some); \
    r = cg_values_of(some, top); \
    CG_ADD(i, 0, even) CG_ADD(i, 1, odd) CG_ADD(i, 2, even) CG_ADD(i, 3, odd)
    CG_PARTS(CG_DO)
#undef CG_DO
#undef CG_ADD
}

CG_INLINE int cg_holds_nan(cg_vc top) {
#if defined(__AVX512F__)
    return _mm512_cmpeq_epi8_mask(top, _mm512_set1_epi8(CG_TWICE_NAN - 256)) != 0;
#else
    const cg_vc nan = CG_CODES(set1_epi8)(CG_TWICE_NAN - 256);
    return CG_CODES(movemask_epi8)(CG_CODES(cmpeq_epi8)(top, nan)) != 0;
#endif
}

CG_INLINE float cg_sum_of(cg_sums sums) {
#define CG_DO(i) sums.even.v##i = sums.even.v##i + sums.odd.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return cg_sum16(sums.even);
}

/* Adds to `out` what a vector that was laid out and n codes of each of some rows, `step` apart, sum
   up to, or their squares. Returns 0 and adds nothing where a code is NaN. */
CG_INLINE int cg_meet_rows(const float *x, const uint8_t *codes, long step, long n, int rows,
                           int squares, double *out) {
    cg_v16 none = cg_set16(0);
    cg_sums sums[CG_SCAN_ROWS];
    cg_vc top = {0};
    long k = 0, ahead = rows * step > CG_SCAN_AHEAD ? rows * step : CG_SCAN_AHEAD;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) sums[i] = (cg_sums){none, none};
    for (; k + CG_SCAN_CODES <= n; k += CG_SCAN_CODES)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            __builtin_prefetch(codes + i * step + k + ahead);
            cg_scan_codes(codes + i * step + k, squares ? x : x + k, squares, &sums[i], &top);
        }
    if (k < n)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            uint8_t last[CG_SCAN_CODES] = {0};
            memcpy(last, codes + i * step + k, n - k);
            cg_scan_codes(last, squares ? x : x + k, squares, &sums[i], &top);
        }
    if (cg_holds_nan(top)) return 0;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) out[i] += cg_sum_of(sums[i]);
    return 1;
}

/* Adds to `out` the products of a vector that was laid out and n codes of each of `count` rows, times
   2**-8; NaN where a code is. */
CG_INLINE void cg_scan_rows(const float *x, const uint8_t *codes, long step, long n, long count,
                            double *out) {
    long i = 0, end = 0;
    while (i < count) {
        if (i >= end && i + CG_SCAN_ROWS <= count) {
            if (cg_meet_rows(x, codes + i * step, step, n, CG_SCAN_ROWS, 0, out + i)) {
                i += CG_SCAN_ROWS;
                continue;
            }
            end = i + CG_SCAN_ROWS; /* one of them holds NaN: each by itself */
        }
        if (!cg_meet_rows(x, codes + i * step, step, n, 1, 0, out + i)) out[i] = NAN;
        i++;
    }
}

/* Adds to `out` the squares of n codes, times 2**-16; NaN where a code is. */
CG_INLINE void cg_scan_squares(const uint8_t *codes, long n, double *out) {
    if (!cg_meet_rows(NULL, codes, n, n, 1, 1, out)) *out = NAN;
}

/* Lays out n floats times a factor as the values of codes come, up to whole blocks with zeros. */
CG_INLINE void cg_lay_out(const float *x, float factor, long n, float *place) {
    float some[CG_SCAN_CODES];
    for (long k = 0; k < n; k += CG_SCAN_CODES) {
        long count = n - k < CG_SCAN_CODES ? n - k : CG_SCAN_CODES;
        for (long j = 0; j < CG_SCAN_CODES; j++) some[j] = 0;
        for (long j = 0; j < count; j++) some[j] = x[k + j] * factor;
        for (long j = 0; j < CG_SCAN_CODES; j += 2) {
            long lane = j % CG_VECTOR_BYTES / 16 * 4 + j % 8 / 2, high = j / 8 % 2;
            long at = j / CG_VECTOR_BYTES * CG_VECTOR_BYTES + high * 2 * CG_LANES + lane;
            place[k + at] = some[j];
            place[k + at + CG_LANES] = some[j + 1];
        }
    }
}

#endif
