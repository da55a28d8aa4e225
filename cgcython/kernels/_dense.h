/* The inner tile of a matrix product: its sums stay in registers, and each lane adds its products
   one after the other, so that every level with FMA returns the same bits. */
#ifndef CGCYTHON_DENSE_H
#define CGCYTHON_DENSE_H

#include "_vector.h"

#if defined(__AVX512F__)
#define CG_TILE_VECTORS 4
#else
#define CG_TILE_VECTORS 2
#endif
#define CG_TILE_ROWS 6
#define CG_TILE_COLUMNS (CG_TILE_VECTORS * CG_LANES)
/* Keeps a vector in its register: the compiler would rather read it again for every use. */
#define CG_PIN(v) __asm__("" : "+v"(v))

/* out[i][c] += sum over k of left[k][i] * right[k][c]; all three are packed. */
CG_INLINE void cg_tile(const float *left, const float *right, long depth, float *out) {
    cg_vf sum[CG_TILE_ROWS][CG_TILE_VECTORS];
    memcpy(sum, out, sizeof sum);
    for (long k = 0; k < depth; k++) {
        cg_vf b[CG_TILE_VECTORS];
#pragma GCC unroll 8
        for (int j = 0; j < CG_TILE_VECTORS; j++) {
            b[j] = cg_load(right + k * CG_TILE_COLUMNS + j * CG_LANES);
            CG_PIN(b[j]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < CG_TILE_ROWS; i++) {
            cg_vf a = cg_set(left[k * CG_TILE_ROWS + i]);
#pragma GCC unroll 8
            for (int j = 0; j < CG_TILE_VECTORS; j++) sum[i][j] = a * b[j] + sum[i][j];
        }
    }
    memcpy(out, sum, sizeof sum);
}

#endif
