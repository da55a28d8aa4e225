/* Rows of E4M3 codes times one vector, 64 codes at a time and about as fast as memory gives them.

   A code becomes the two upper bytes of a float, its value times 2**-8, while it is still one byte
   among many: bytes of both kinds are interleaved, and each 32-bit lane then holds two values. So
   the values come out of order, and the vector is laid out once to meet them. */
#ifndef CGCYTHON_E4M3_SCAN_H
#define CGCYTHON_E4M3_SCAN_H

#include <math.h>
#include "_vector.h"

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
   exponent, whose bias becomes 112 more; and how both bytes differ for sizes of 0 to 7, those below
   the normal numbers. */
CG_INLINE cg_vc cg_upper_of(cg_vc half) {
    const __m128i bytes = _mm_setr_epi8(
        0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0xB8 - 256, 0xB9 - 256, 0xBA - 256,
        0xBB - 256, 0xBC - 256, 0xBD - 256, 0xBE - 256, 0xBF - 256);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), half);
}
CG_INLINE cg_vc cg_upper_change(cg_vc size) {
    const __m128i bytes = _mm_setr_epi8(0x38, 15, 15, 15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), size);
}
CG_INLINE cg_vc cg_lower_change(cg_vc size) {
    const __m128i bytes = _mm_setr_epi8(0, 0x10, 0xA0 - 256, 0xF0 - 256, 0x40, 0x70, 0x20, 0x10,
                                        0, 0, 0, 0, 0, 0, 0, 0);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), size);
}

typedef struct { cg_v16 even, odd; } cg_sums; /* of the products of one row */
typedef struct { cg_vf v0, v1, v2, v3; } cg_four;

/* Joins the two upper bytes of each float, whose others are 0. */
CG_INLINE cg_four cg_joined(cg_vc lower, cg_vc upper) {
    const cg_vc upper_half = CG_CODES(set1_epi32)(0xFFFF0000);
    cg_vc low = CG_CODES(unpacklo_epi8)(lower, upper), high = CG_CODES(unpackhi_epi8)(lower, upper);
    cg_four r = {(cg_vf)CG_CODES(slli_epi32)(low, 16), (cg_vf)(low & upper_half),
                 (cg_vf)CG_CODES(slli_epi32)(high, 16), (cg_vf)(high & upper_half)};
    return r;
}

/* The values of codes; raises `top` to their sizes. */
CG_INLINE cg_four cg_values_of(cg_vc codes, cg_vc *top) {
    const cg_vc mask = CG_CODES(set1_epi8)(-16);
    cg_vc size = codes & CG_CODES(set1_epi8)(0x7F);
    cg_vc few = CG_CODES(min_epu8)(size, CG_CODES(set1_epi8)(8));
    cg_vc half = CG_WITHOUT(mask, CG_CODES(srli_epi16)(codes, 4));
    *top = CG_CODES(max_epu8)(*top, size);
    return cg_joined((CG_CODES(slli_epi16)(codes, 4) & mask) ^ cg_lower_change(few),
                     cg_upper_of(half) ^ cg_upper_change(few));
}

/* The same of normal numbers only, a fifth faster. Raises `top` to CG_NOT_NORMAL or above where
   there is another. One mask serves everything: the registers hold the sums of two rows and little
   more. */
#define CG_NOT_NORMAL 0xEE /* twice the size of NaN, less 16; twice sizes below 8 wrap to more */
CG_INLINE cg_four cg_normals_of(cg_vc codes, cg_vc *top) {
    const cg_vc mask = CG_CODES(set1_epi8)(-16);
    cg_vc twice = CG_CODES(add_epi8)(codes, codes);
    cg_vc half = CG_WITHOUT(mask, CG_CODES(srli_epi16)(codes, 4));
    *top = CG_CODES(max_epu8)(*top, CG_CODES(add_epi8)(twice, mask));
    return cg_joined(CG_CODES(slli_epi16)(codes, 4) & mask, cg_upper_of(half));
}

/* What codes meet, and which: each a constant where it is called. */
typedef enum { CG_NORMALS, CG_ALL, CG_SQUARES } cg_meeting;

/* Adds the products of 64 codes and what was laid out, or themselves. */
CG_INLINE void cg_scan_codes(const uint8_t *codes, const float *x, cg_meeting how, cg_sums *sums,
                             cg_vc *top) {
    cg_vc some;
    cg_four r;
#define CG_ADD(i, j, half) \
    sums->half.v##i = sums->half.v##i + r.v##j * \
        (how == CG_SQUARES ? r.v##j : cg_load(x + i * CG_VECTOR_BYTES + j * CG_LANES));
#define CG_DO(i) \
    memcpy(&some, codes + i * CG_VECTOR_BYTES, sizeof some); \
    r = (how == CG_NORMALS ? cg_normals_of : cg_values_of)(some, top); \
    CG_ADD(i, 0, even) CG_ADD(i, 1, odd) CG_ADD(i, 2, even) CG_ADD(i, 3, odd)
    CG_PARTS(CG_DO)
#undef CG_DO
#undef CG_ADD
}

/* Whether one byte is `least` or more. */
CG_INLINE int cg_reaches(cg_vc top, int least) {
    cg_vc limit = CG_CODES(set1_epi8)(least);
#if defined(__AVX512F__)
    return _mm512_cmpge_epu8_mask(top, limit) != 0;
#else
    return CG_CODES(movemask_epi8)(CG_CODES(cmpeq_epi8)(CG_CODES(max_epu8)(top, limit), top)) != 0;
#endif
}

CG_INLINE float cg_sum_of(cg_sums sums) {
#define CG_DO(i) sums.even.v##i = sums.even.v##i + sums.odd.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return cg_sum16(sums.even);
}

/* Adds to `out` what a vector that was laid out and n codes of each of some rows, `step` apart, sum
   up to. Returns 0 and adds nothing where a code is none of those that may meet it. */
CG_INLINE int cg_meet_rows(const float *x, const uint8_t *codes, long step, long n, int rows,
                           cg_meeting how, double *out) {
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
            cg_scan_codes(codes + i * step + k, x ? x + k : x, how, &sums[i], &top);
        }
    if (k < n)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            uint8_t last[CG_SCAN_CODES];
            memset(last, how == CG_SQUARES ? 0 : 8, sizeof last); /* 8 is normal, and meets 0 */
            memcpy(last, codes + i * step + k, n - k);
            cg_scan_codes(last, x ? x + k : x, how, &sums[i], &top);
        }
    if (cg_reaches(top, how == CG_NORMALS ? CG_NOT_NORMAL : 0x7F)) return 0;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) out[i] += cg_sum_of(sums[i]);
    return 1;
}

/* CG_SCAN_ROWS rows, products times 2**-8, where all codes are normal numbers; returns whether. */
static __attribute__((noinline)) int cg_scan_normals(const float *x, const uint8_t *codes,
                                                     long step, long n, double *out) {
    return cg_meet_rows(x, codes, step, n, CG_SCAN_ROWS, CG_NORMALS, out);
}

/* One row, products times 2**-8; NaN where a code is. */
static __attribute__((noinline)) void cg_scan_row(const float *x, const uint8_t *codes, long n,
                                                  double *out) {
    if (!cg_meet_rows(x, codes, n, n, 1, CG_ALL, out)) *out = NAN;
}

/* One row's squares, times 2**-16; NaN where a code is. */
static __attribute__((noinline)) void cg_scan_squares(const uint8_t *codes, long n, double *out) {
    if (!cg_meet_rows(NULL, codes, n, n, 1, CG_SQUARES, out)) *out = NAN;
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
