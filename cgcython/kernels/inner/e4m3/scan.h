/* Rows of E4M3 codes times one vector, 64 codes at a time and about as fast as memory gives them.

   A code becomes the two upper bytes of a float, its value times 2**-8, while it is still one byte
   among many: bytes of both kinds are interleaved, and each 32-bit lane then holds two values. So
   the values come out of order, and the vector is laid out once to meet them. */
#ifndef CGCYTHON_E4M3_SCAN_H
#define CGCYTHON_E4M3_SCAN_H

#include "inner/simd/vector.h"

#define CG_SCAN_CODES 64
#define CG_SCAN_AHEAD 2048 /* bytes: the processor itself stops reading ahead at each page */

/* One code in each byte. Rows meet the vector together where there are registers for their sums:
   one row alone waits for its sums. */
#if CG_LANES == 16
#define CG_SCAN_ROWS 4
#elif CG_VECTOR_REGISTERS == 32 || CG_LANES == 8
#define CG_SCAN_ROWS 2
#else
#define CG_SCAN_ROWS 1
#endif

/* The upper byte of normal numbers by the half of a code that holds its sign and most of its
   exponent, whose bias becomes 112 more; and how both bytes differ for sizes below 8, which are
   below the normal numbers, by twice the size: a place of 128 or more changes nothing. */
static const uint8_t cg_upper_bytes[16] = {0x38, 0x39, 0x3A, 0x3B, 0x3C, 0x3D, 0x3E, 0x3F,
                                           0xB8, 0xB9, 0xBA, 0xBB, 0xBC, 0xBD, 0xBE, 0xBF};
static const uint8_t cg_upper_changes[16] = {0x38, 0, 15, 0, 15, 0, 15};
static const uint8_t cg_lower_changes[16] = {0, 0, 0x10, 0, 0xA0, 0, 0xF0, 0,
                                             0x40, 0, 0x70, 0, 0x20, 0, 0x10};

typedef struct { cg_v16 even, odd; } cg_sums; /* of the products of one row */
typedef struct { cg_vf v0, v1, v2, v3; } cg_values;

/* Joins the two upper bytes of each float, whose others are 0. */
CG_INLINE cg_values cg_joined(cg_vc lower, cg_vc upper) {
    cg_vu low = (cg_vu)cg_join_low(lower, upper), high = (cg_vu)cg_join_high(lower, upper);
    cg_values r = {(cg_vf)(low << 16), (cg_vf)(low & 0xFFFF0000U), (cg_vf)(high << 16),
                   (cg_vf)(high & 0xFFFF0000U)};
    return r;
}

/* The values of codes; raises `top` to twice their sizes. Few constants: the registers hold the sums
   of two rows beside them. */
#define CG_TWICE_NAN 0xFE
CG_INLINE cg_values cg_values_of(cg_vc codes, cg_vc *top) {
    cg_vc twice = codes + codes, place = cg_add_up_to_255(twice, cg_set_c(0x70));
    cg_vc half = (cg_vc)((cg_vw)codes >> 4) & 0x0F;
    *top = cg_max_c(*top, twice);
    return cg_joined(((cg_vc)((cg_vw)codes << 4) & 0xF0) ^ cg_table16(cg_lower_changes, place),
                     cg_table16(cg_upper_bytes, half) ^ cg_table16(cg_upper_changes, place));
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

CG_INLINE float cg_sum_of(cg_sums sums) {
#define CG_DO(i) sums.even.v##i = sums.even.v##i + sums.odd.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return cg_sum16(sums.even);
}

/* Adds to `out` what a vector that was laid out and n codes of each of some rows, `step` apart, sum
   up to, or their squares. Returns 0 and adds nothing where a code is NaN. */
CG_INLINE int cg_meet_rows(const float *x, const uint8_t *codes, ptrdiff_t step, ptrdiff_t n, int rows,
                           int squares, double *out) {
    cg_v16 none = cg_set16(0);
    cg_sums sums[CG_SCAN_ROWS];
    cg_vc top = {0};
    ptrdiff_t k = 0, ahead = rows * step > CG_SCAN_AHEAD ? rows * step : CG_SCAN_AHEAD;
    CG_UNROLL for (int i = 0; i < rows; i++) sums[i] = (cg_sums){none, none};
    for (; k + CG_SCAN_CODES <= n; k += CG_SCAN_CODES)
        CG_UNROLL for (int i = 0; i < rows; i++) {
            cg_fetch(codes + i * step + k + ahead);
            cg_scan_codes(codes + i * step + k, squares ? x : x + k, squares, &sums[i], &top);
        }
    if (k < n)
        CG_UNROLL for (int i = 0; i < rows; i++) {
            uint8_t last[CG_SCAN_CODES] = {0};
            memcpy(last, codes + i * step + k, n - k);
            cg_scan_codes(last, squares ? x : x + k, squares, &sums[i], &top);
        }
    if (cg_holds_byte(top, CG_TWICE_NAN)) return 0;
    CG_UNROLL for (int i = 0; i < rows; i++) out[i] += cg_sum_of(sums[i]);
    return 1;
}

#endif
