/* The inner loop of MaxSim on product-quantization codes: rows of lookup tables, added. */
#ifndef CGCYTHON_MAXSIM_PQ_H
#define CGCYTHON_MAXSIM_PQ_H

#include "inner/maxsim/tile.h"

#define CG_KSUB 256

/* Raise best, 16 lanes, to the cosines of `count` tokens. Each lane adds a token's entries in the
   order of the subspaces, so every level returns the same bits of the same tables. */
CG_INLINE void cg_look_up(const float *table, ptrdiff_t M, const uint8_t *codes,
                          const float *norms, ptrdiff_t count, float *best) {
    cg_v16 highest = cg_load16(best);
    for (ptrdiff_t i = 0; i < count; i++, codes += M) {
        const float *row = table;
        cg_v16 sums = cg_set16(0);
        for (ptrdiff_t m = 0; m < M; m++, row += CG_KSUB * CG_QUERY_LANES) {
            const float *entry = row + codes[m] * CG_QUERY_LANES;
#define CG_DO(j) sums.v##j += cg_load(entry + j * CG_LANES);
            CG_PARTS(CG_DO)
#undef CG_DO
        }
#define CG_DO(j) highest.v##j = cg_max(sums.v##j * norms[i], highest.v##j);
        CG_PARTS(CG_DO)
#undef CG_DO
    }
#define CG_DO(j) cg_store(best + j * CG_LANES, highest.v##j);
    CG_PARTS(CG_DO)
#undef CG_DO
}

#endif
