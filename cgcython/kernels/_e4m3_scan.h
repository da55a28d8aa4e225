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
#define CG_MIX(a, mask, b) _mm512_ternarylogic_epi64(a, mask, b, 0x6A) /* (a & mask) ^ b */
#define CG_PICK(mask, a, b) _mm512_ternarylogic_epi64(mask, a, b, 0xCA)
#elif defined(__AVX2__)
#define CG_SCAN_ROWS 2
typedef __m256i cg_vc;
#define CG_CODES(name) _mm256_##name
#define CG_EACH(bytes) _mm256_broadcastsi128_si256(bytes)
#define CG_MIX(a, mask, b) (((a) & (mask)) ^ (b))
#define CG_PICK(mask, a, b) (((mask) & (a)) | ((b) & ~(mask)))
#else
#define CG_SCAN_ROWS 1
typedef __m128i cg_vc;
#define CG_CODES(name) _mm_##name
#define CG_EACH(bytes) (bytes)
#define CG_MIX(a, mask, b) (((a) & (mask)) ^ (b))
#define CG_PICK(mask, a, b) (((mask) & (a)) | ((b) & ~(mask)))
#endif

/* What the bits of a size of 0 to 7 lack, the subnormals; beyond, the exponents' bias of 112. */
CG_INLINE cg_vc cg_upper_of(cg_vc size) {
    const __m128i bytes = _mm_setr_epi8(0, 0x37, 0x37, 0x37, 0x38, 0x38, 0x38, 0x38,
                                        0x38, 0x38, 0x38, 0x38, 0x38, 0x38, 0x38, 0x38);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), size);
}
CG_INLINE cg_vc cg_lower_of(cg_vc size) {
    const __m128i bytes = _mm_setr_epi8(0, 0x10, 0xA0 - 256, 0xF0 - 256, 0x40, 0x70, 0x20, 0x10,
                                        0, 0, 0, 0, 0, 0, 0, 0);
    return CG_CODES(shuffle_epi8)(CG_EACH(bytes), size);
}

/* Of one row: sums of products, and the largest size of each place. */
typedef struct { cg_v16 even, odd; cg_vc top; } cg_sums;
typedef struct { cg_vf v0, v1, v2, v3; } cg_four;

CG_INLINE cg_four cg_values_of(cg_vc codes, cg_vc *top) {
    const cg_vc upper_half = CG_CODES(set1_epi32)(0xFFFF0000);
    cg_vc size = codes & CG_CODES(set1_epi8)(0x7F), few;
    *top = CG_CODES(max_epu8)(*top, size);
    few = CG_CODES(min_epu8)(size, CG_CODES(set1_epi8)(15));
    cg_vc lower = CG_MIX(CG_CODES(slli_epi16)(codes, 4), CG_CODES(set1_epi8)(-16),
                         cg_lower_of(few));
    cg_vc upper = CG_PICK(CG_CODES(set1_epi8)(-128), codes, CG_CODES(srli_epi16)(codes, 4));
    upper = CG_MIX(upper, CG_CODES(set1_epi8)(-121), cg_upper_of(few));
    cg_vc low = CG_CODES(unpacklo_epi8)(lower, upper), high = CG_CODES(unpackhi_epi8)(lower, upper);
    cg_four r = {(cg_vf)CG_CODES(slli_epi32)(low, 16), (cg_vf)(low & upper_half),
                 (cg_vf)CG_CODES(slli_epi32)(high, 16), (cg_vf)(high & upper_half)};
    return r;
}

/* Adds the products of 64 codes and what was laid out, or themselves where that is NULL. */
CG_INLINE void cg_scan_codes(const uint8_t *codes, const float *x, cg_sums *sums) {
    cg_vc some;
    cg_four r;
#define CG_ADD(i, j, half) \
    sums->half.v##i = \
        r.v##j * (x ? cg_load(x + i * CG_VECTOR_BYTES + j * CG_LANES) : r.v##j) + sums->half.v##i;
#define CG_DO(i) \
    memcpy(&some, codes + i * CG_VECTOR_BYTES, sizeof some); \
    r = cg_values_of(some, &sums->top); \
    CG_ADD(i, 0, even) CG_ADD(i, 1, odd) CG_ADD(i, 2, even) CG_ADD(i, 3, odd)
    CG_PARTS(CG_DO)
#undef CG_DO
#undef CG_ADD
}

CG_INLINE int cg_holds_nan(cg_vc top) {
#if defined(__AVX512F__)
    return _mm512_cmpeq_epi8_mask(top, _mm512_set1_epi8(0x7F)) != 0;
#else
    return CG_CODES(movemask_epi8)(CG_CODES(cmpeq_epi8)(top, CG_CODES(set1_epi8)(0x7F)));
#endif
}

CG_INLINE float cg_sum_of(cg_sums sums) {
    if (cg_holds_nan(sums.top)) return NAN;
#define CG_DO(i) sums.even.v##i = sums.even.v##i + sums.odd.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return cg_sum16(sums.even);
}

/* Adds to `out` the products of a vector that was laid out and n codes of each of some rows, `step`
   apart, times 2**-8; where the vector is NULL the rows' squares, times 2**-16. NaN where a code
   is. */
CG_INLINE void cg_scan_rows(const float *x, const uint8_t *codes, long step, long n, int rows,
                            double *out) {
    cg_v16 none = cg_set16(0);
    cg_sums sums[CG_SCAN_ROWS];
    long k = 0, ahead = rows * step > CG_SCAN_AHEAD ? rows * step : CG_SCAN_AHEAD;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) sums[i] = (cg_sums){none, none, {0}};
    for (; k + CG_SCAN_CODES <= n; k += CG_SCAN_CODES)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            __builtin_prefetch(codes + i * step + k + ahead);
            cg_scan_codes(codes + i * step + k, x ? x + k : x, &sums[i]);
        }
    if (k < n)
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            uint8_t last[CG_SCAN_CODES] = {0};
            memcpy(last, codes + i * step + k, n - k);
            cg_scan_codes(last, x ? x + k : x, &sums[i]);
        }
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++) out[i] += cg_sum_of(sums[i]);
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
