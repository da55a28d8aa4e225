/* Cosines in whole numbers: 16-bit tokens, two dimensions per multiply-add, 32-bit sums.

   Tokens lie as [block][pair of dimensions][CG_TOKENS tokens], which serves as rows and as columns. */
#ifndef CGCYTHON_TOKENS_H
#define CGCYTHON_TOKENS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_TOKENS (2 * CG_LANES)
#if CG_VECTOR_REGISTERS == 32
#define CG_ROWS 8
#else
#define CG_ROWS 4
#endif
#define CG_TOGETHER 4

/* Sums of 2**30 are a cosine of 1, which becomes 65535; -1 becomes 0. */
CG_INLINE void cg_store_cosines(uint16_t *p, cg_vi sums) {
    cg_vi shifted = (sums >> 15) + 32768;
    shifted &= ~(shifted < 0);
    cg_vi over = shifted > 65535;
    cg_lane_words narrow = cg_convert((shifted & ~over) | (over & 65535), cg_lane_words);
    memcpy(p, &narrow, sizeof narrow);
}

/* Write the cosines of CG_ROWS tokens with one block; rows and columns are [pairs][CG_TOKENS]. */
static CG_OWN void cg_cosines(const int32_t *rows, const int32_t *columns, ptrdiff_t pairs,
                              uint16_t *out, ptrdiff_t stride) {
    cg_vi a[CG_ROWS], b[CG_ROWS];
    CG_UNROLL for (int t = 0; t < CG_ROWS; t++) a[t] = b[t] = (cg_vi){0};
    for (ptrdiff_t k = 0; k < pairs; k++, rows += CG_TOKENS, columns += CG_TOKENS) {
        cg_vi left, right;
        memcpy(&left, columns, sizeof left);
        memcpy(&right, columns + CG_LANES, sizeof right);
        CG_UNROLL for (int t = 0; t < CG_ROWS; t++) {
            cg_vi row = rows[t] - (cg_vi){0};
            a[t] = cg_add_products(a[t], row, left);
            b[t] = cg_add_products(b[t], row, right);
        }
    }
    CG_UNROLL for (int t = 0; t < CG_ROWS; t++) {
        cg_store_cosines(out + t * stride, a[t]);
        cg_store_cosines(out + t * stride + CG_LANES, b[t]);
    }
}

/* Write a block of cosines mirrored, 8 by 8. */
static void cg_mirror(const uint16_t *block, uint16_t *out, ptrdiff_t stride) {
    for (int i = 0; i < CG_TOKENS; i += 8)
        for (int j = 0; j < CG_TOKENS; j += 8)
            cg_transpose8(block + i * stride + j, out + j * stride + i, stride);
}

/* The lowest position of the highest of n, a multiple of CG_LANES. */
static ptrdiff_t cg_highest(const uint32_t *worth, ptrdiff_t n) {
    cg_vu most = cg_load_u(worth);
    for (ptrdiff_t i = CG_LANES; i < n; i += CG_LANES) most = cg_max_u(most, cg_load_u(worth + i));
    cg_vu top = cg_set_u(cg_top_u(most));
    for (ptrdiff_t i = 0;; i += CG_LANES) {
        uint32_t found = cg_equal(cg_load_u(worth + i), top);
        if (found) return i + cg_first_one(found);
    }
}

/* Take from each of n what its cosines lie above `before`, up to `after`, with some tokens. */
static CG_OWN void cg_lower(uint32_t *worth, ptrdiff_t n, const uint16_t *cosines,
                            const ptrdiff_t *tokens, const uint16_t *before,
                            const uint16_t *after) {
    const uint16_t *rows[CG_TOGETHER];
    cg_words low[CG_TOGETHER], high[CG_TOGETHER];
    CG_UNROLL for (int t = 0; t < CG_TOGETHER; t++) {
        rows[t] = cosines + tokens[t] * n;
        low[t] = cg_set_words(before[t]);
        high[t] = cg_set_words(after[t]);
    }
    for (ptrdiff_t i = 0; i < n; i += CG_LANES) {
        cg_vu sums = cg_load_u(worth + i);
        CG_UNROLL for (int t = 0; t < CG_TOGETHER; t++)
            sums -= cg_between(rows[t] + i, low[t], high[t]);
        cg_store_u(worth + i, sums);
    }
}

#endif
