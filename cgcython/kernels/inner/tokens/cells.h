/* Integer dots of a centroid with 32 tokens, and the tokens it is nearer to than others before. */
#ifndef CGCYTHON_CELLS_H
#define CGCYTHON_CELLS_H

#include "inner/integers/tile.h"

/* Writes dot x norm of each lane; returns the lanes, lowest bit first, in which it is above. */
CG_INLINE uint32_t cg_products_above(const int32_t *dots, float norm, const float *least,
                                     float *products) {
    uint32_t lanes = 0;
    CG_UNROLL for (int lane = 0; lane < CG_INTEGER_LANES; lane += CG_LANES) {
        cg_vf product = cg_convert(cg_load_i(dots + lane), cg_vf) * cg_set(norm);
        cg_store(products + lane, product);
        lanes |= cg_above(product, cg_load(least + lane)) << lane;
    }
    return lanes;
}

/* A number, or 0: without a jump, for which of the two it is cannot be foreseen. */
CG_INLINE float cg_number_if(int wanted, float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    bits &= -(uint32_t)(wanted != 0);
    memcpy(&number, &bits, sizeof number);
    return number;
}

#endif
