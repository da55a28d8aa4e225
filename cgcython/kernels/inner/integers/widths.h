/* Sums that tell how closely the levels of a few widths follow a token, in exact whole numbers. */
#ifndef CGCYTHON_LEVELS_H
#define CGCYTHON_LEVELS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_TRIED 4 /* widths whose sums stay in registers */

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
        cg_vf middle = cg_convert(size, cg_vf) + 0.5f;
        CG_UNROLL for (int t = 0; t < CG_TRIED; t++) {
            cg_vi q = cg_convert(cg_min(middle * inverses[t], most), cg_vi);
            dot[t] = cg_add_products(dot[t], q, size);
            square[t] = cg_add_products(square[t], q, q + 1);
        }
    }
    CG_UNROLL for (int t = 0; t < CG_TRIED; t++) {
        dots[t] = cg_sum_i(dot[t]);
        squares[t] = cg_sum_i(square[t]);
    }
}

#endif
