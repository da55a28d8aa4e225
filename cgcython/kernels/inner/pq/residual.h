/* Inner loops of residual codes: products that every level rounds alike, and tables added up. */
#ifndef CGCYTHON_RESIDUAL_H
#define CGCYTHON_RESIDUAL_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_STRIP 64
#define CG_KSUB 256
#define CG_TILE 6 /* rows */
#if CG_LANES == 16
#define CG_REGISTERS 4 /* columns of a tile, in vectors: 24 sums of 32 registers */
#define CG_ROW_REGISTERS 4 /* of one row */
#elif CG_VECTOR_REGISTERS == 32
#define CG_REGISTERS 4
#define CG_ROW_REGISTERS 8
#else
#define CG_REGISTERS 2
#define CG_ROW_REGISTERS 8
#endif

CG_INLINE void cg_residual_tile(int rows, int registers, const float *x, const float *columns,
                                ptrdiff_t n, float *out, ptrdiff_t step) {
    cg_vf sums[CG_TILE][8];
    CG_UNROLL for (int v = 0; v < rows; v++)
        CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] = (cg_vf){0};
    for (ptrdiff_t k = 0; k < n; k++) {
        cg_vf column[8];
        CG_UNROLL for (int r = 0; r < registers; r++)
            column[r] = cg_load(columns + k * CG_STRIP + r * CG_LANES);
        CG_UNROLL for (int v = 0; v < rows; v++) {
            cg_vf value = cg_set(x[v * n + k]);
            CG_UNROLL for (int r = 0; r < registers; r++) {
                cg_vf product = value * column[r];
                CG_PIN(product); /* rounded: levels without FMA do the same */
                sums[v][r] += product;
            }
        }
    }
    CG_UNROLL for (int v = 0; v < rows; v++)
        CG_UNROLL for (int r = 0; r < registers; r++)
            cg_store(out + v * step + r * CG_LANES, sums[v][r]);
}

/* A quarter, half or whole strip of columns of a whole tile, or of one row of fewer. */
#define CG_TILE_COLUMNS (CG_REGISTERS * CG_LANES)
#define CG_ROW_COLUMNS (CG_ROW_REGISTERS * CG_LANES)
CG_INLINE void cg_residual_rows(const float *x, const float *columns, ptrdiff_t n, float *out,
                                ptrdiff_t step) {
    cg_residual_tile(CG_TILE, CG_REGISTERS, x, columns, n, out, step);
}
CG_INLINE void cg_residual_row(const float *x, const float *columns, ptrdiff_t n, float *out) {
    cg_residual_tile(1, CG_ROW_REGISTERS, x, columns, n, out, 0);
}

/* total = terms + score + the rows of tables that earlier codes name, times powers of two; whole
   numbers wrap. */
CG_INLINE void cg_residual_totals(const int32_t *terms, int32_t score, const int16_t *tables,
                                  const uint8_t *shifts, const uint8_t *codes, ptrdiff_t stages,
                                  int32_t *total) {
    for (int c = 0; c < CG_KSUB; c += CG_STRIP) {
        cg_vu sums[CG_STRIP / CG_LANES];
        CG_UNROLL for (int r = 0; r < CG_STRIP / CG_LANES; r++)
            sums[r] = cg_load_u((const uint32_t *)terms + c + r * CG_LANES) + (uint32_t)score;
        for (ptrdiff_t i = 0; i < stages; i++) {
            const int16_t *row = tables + ((i * CG_KSUB + codes[i]) * CG_KSUB + c);
            CG_UNROLL for (int r = 0; r < CG_STRIP / CG_LANES; r++) {
                cg_lane_shorts some;
                memcpy(&some, row + r * CG_LANES, sizeof some);
                sums[r] += (cg_vu)cg_convert(some, cg_vi) << shifts[i];
            }
        }
        CG_UNROLL for (int r = 0; r < CG_STRIP / CG_LANES; r++)
            cg_store_u((uint32_t *)total + c + r * CG_LANES, sums[r]);
    }
}

#endif
