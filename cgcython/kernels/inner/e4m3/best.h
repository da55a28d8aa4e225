/* Estimates of products of queries with rows of E4M3 codes, whose error has a proven bound.

   One query meets rows as bfloat16, which holds its codes: the bytes only move into place. Many
   queries meet rows as whole numbers, decoded once for all of them. */
#ifndef CGCYTHON_E4M3_BEST_H
#define CGCYTHON_E4M3_BEST_H

#include "inner/e4m3/scan.h"
#include "inner/integers/tile.h"

/* One query: rounded to bfloat16 and times 2**96, it meets codes times 2**-120. Codes below 2**-6
   are denormals then, which the instruction takes for 0. */
#define CG_HALVES_UP 0x1p96f
#define CG_ESTIMATE_UP 0x1p24
#define CG_LOST_BY_HALVES (7 * 0x1p-9)
#define CG_ESTIMATES_ROWS CG_HAS_HALF_DOTS /* 64 codes at once */

CG_INLINE cg_vu cg_code_halves(cg_vc codes) { /* in the upper bytes */
    return (cg_vu)(((cg_vs)codes >> 4) & (int16_t)0x87F0);
}

CG_INLINE void cg_estimate_codes(const uint16_t *query, cg_vc codes, cg_vf *even, cg_vf *odd) {
    CG_PIN(codes); /* else loaded for each of its two uses */
    *even = cg_half_dots(*even, cg_code_halves((cg_vc)((cg_vw)codes << 8)),
                         (cg_vu)cg_load_c(query));
    *odd = cg_half_dots(*odd, cg_code_halves(codes), (cg_vu)cg_load_c(query + 32));
}

/* Many queries: rows become whole numbers of 448 / 127, each at most half of that off. */
#define CG_WHOLE_STEP (448.0 / 127)
#define CG_CODES_CHUNK (CG_CODES_TILE * CG_DIMS) /* bytes of a tile of 128 dimensions */
static const uint8_t cg_whole_sizes[128] = { /* of codes by their sizes; those below 0x3F round to 0 */
    [0x3F] = 1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,   2,   2,   2,   2,   2,
             2,  3,  3,  3,  3,  4,  4,  4,  5,  5,  6,  6,   7,   7,   8,   9,
             9, 10, 11, 12, 14, 15, 16, 17, 18, 20, 23, 25,  27,  29,  32,  34,
            36, 41, 45, 50, 54, 59, 64, 68, 73, 82, 91, 100, 109, 118, 127, 127};

CG_INLINE cg_vc cg_whole_size_of(cg_vc codes) {
#if CG_HAS_WIDE_TABLES
    return cg_table128(cg_whole_sizes, codes);
#else
    cg_vc low = codes & 0x0F, high = (codes & 0x7F) >> 4, found = codes ^ codes;
    CG_UNROLL for (int t = 3; t < 8; t++) { /* a place of 128 or more gives 0 */
        cg_vc place = low | (((high ^ (uint8_t)t) + 0x7F) & 0x80);
        found |= cg_table16(cg_whole_sizes + 16 * t, place);
    }
    return found;
#endif
}

/* Codes as whole numbers plus 128. */
CG_INLINE cg_vc cg_whole_numbers(cg_vc codes) {
    cg_vc size = cg_whole_size_of(codes), negative = (cg_vc)(codes > 0x7F);
    return ((size ^ negative) - negative) ^ 0x80;
}

/* What a block of queries needs to tell a row's highest possible score, a number for each lane. */
typedef struct {
    const int8_t *numbers; /* [groups][32][4] */
    ptrdiff_t groups;
    int lanes;
    const int32_t *bias;
    const float *slopes, *blurs, *reach, *least;
} cg_block;

CG_INLINE void cg_screen_some(const int n, const int two, const cg_block *q, int lane,
                              const uint8_t *rows, const float *factors, const float *lengths,
                              uint32_t *passed) {
    cg_vi dots[2][CG_CODES_TILE];
    CG_UNROLL for (int t = 0; t < n; t++) dots[0][t] = dots[1][t] = (cg_vi){0};
    for (ptrdiff_t done = 0; done < q->groups; done += CG_DIMS / 4, rows += CG_CODES_CHUNK) {
        ptrdiff_t left = q->groups - done;
        cg_multiply_bytes(n, 0, two, rows, q->numbers + done * CG_QUERY_LINE + 4 * lane,
                          left < CG_DIMS / 4 ? left : CG_DIMS / 4, dots[0], dots[1]);
    }
    CG_UNROLL for (int half = 0; half < 1 + two; half++, lane += CG_LANES) {
        const cg_vi bias = cg_load_i(q->bias + lane);
        const cg_vf slope = cg_load(q->slopes + lane), blur = cg_load(q->blurs + lane);
        const cg_vf reach = cg_load(q->reach + lane), least = cg_load(q->least + lane);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vf dot = cg_convert(dots[half][t] + bias, cg_vf);
            cg_vf most = (dot * slope + blur) * factors[t] + reach * lengths[t];
            uint32_t below = cg_above(least, most);
            passed[t] |= (~below & ((1U << CG_LANES) - 1)) << lane;
        }
    }
}

/* Sets one bit for each of CG_SCREENED lanes whose score with a row may reach the least; n is 1 or,
   where the level has them, 4 and CG_CODES_TILE. */
#define CG_SCREENED (2 * CG_LANES)
static void cg_screen_lanes(ptrdiff_t n, const cg_block *q, int lane, const uint8_t *rows,
                            const float *factors, const float *lengths, uint32_t *passed) {
    const int one = CG_LANES == 16 && q->lanes <= 16;
#define CG_CALL(N)                                                             \
    if (one) cg_screen_some(N, 0, q, lane, rows, factors, lengths, passed);    \
    else cg_screen_some(N, 1, q, lane, rows, factors, lengths, passed)
    CG_FOR_CODES_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

#endif
