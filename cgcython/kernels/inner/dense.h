/* The inner tile of a matrix product: its sums stay in registers, and each lane adds its products
   one after the other, so that every level with FMA returns the same bits. */
#ifndef CGCYTHON_DENSE_H
#define CGCYTHON_DENSE_H

#include "inner/simd/vector.h"

#if CG_LANES == 16
#define CG_TILE_VECTORS 4
#else
#define CG_TILE_VECTORS 2
#endif
#define CG_TILE_ROWS 6
#define CG_TILE_COLUMNS (CG_TILE_VECTORS * CG_LANES)
#define CG_TILE_DEPTH 128 /* rows of the right side at a time: its panel stays in L1 */

/* out[i][c] += sum over k < depth of left[i][k] * right[k][c]; the rows of out are `step` apart. */
CG_INLINE void cg_tile(const float *left, const float *right, ptrdiff_t depth, float *out, ptrdiff_t step) {
    cg_vf sum[CG_TILE_ROWS][CG_TILE_VECTORS];
    CG_UNROLL for (int i = 0; i < CG_TILE_ROWS; i++)
        CG_UNROLL for (int j = 0; j < CG_TILE_VECTORS; j++)
            sum[i][j] = cg_load(out + i * step + j * CG_LANES);
    for (ptrdiff_t k = 0; k < depth; k++) {
        cg_vf b[CG_TILE_VECTORS];
        CG_UNROLL for (int j = 0; j < CG_TILE_VECTORS; j++) {
            b[j] = cg_load(right + k * CG_TILE_COLUMNS + j * CG_LANES);
            CG_PIN(b[j]);
        }
        CG_UNROLL for (int i = 0; i < CG_TILE_ROWS; i++) {
            cg_vf a = cg_set(left[i * CG_TILE_DEPTH + k]);
            CG_UNROLL for (int j = 0; j < CG_TILE_VECTORS; j++) sum[i][j] = a * b[j] + sum[i][j];
        }
    }
    CG_UNROLL for (int i = 0; i < CG_TILE_ROWS; i++)
        CG_UNROLL for (int j = 0; j < CG_TILE_VECTORS; j++)
            cg_store(out + i * step + j * CG_LANES, sum[i][j]);
}

/* Lays a panel of whole tile rows side by side. */
CG_INLINE void cg_pack(const float *matrix, ptrdiff_t columns, ptrdiff_t depth, float *right) {
    for (ptrdiff_t k = 0; k < depth; k++)
        memcpy(right + k * CG_TILE_COLUMNS, matrix + k * columns, CG_TILE_COLUMNS * sizeof *right);
}

#endif
