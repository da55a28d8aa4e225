/* Inner loops of residual codes: products that every level rounds alike, and tables added up. */
#ifndef CGCYTHON_RESIDUAL_H
#define CGCYTHON_RESIDUAL_H

#include <math.h>
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

/* out[v][0..64) = rows of n values times a strip of 64 columns. */
static void cg_residual_product(int rows, const float *x, const float *strip, ptrdiff_t n,
                                float *out, ptrdiff_t step) {
    if (rows == CG_TILE)
        for (int c = 0; c < CG_STRIP; c += CG_REGISTERS * CG_LANES)
            cg_residual_tile(CG_TILE, CG_REGISTERS, x, strip + c, n, out + c, step);
    else
        for (int v = 0; v < rows; v++)
            for (int c = 0; c < CG_STRIP; c += CG_ROW_REGISTERS * CG_LANES)
                cg_residual_tile(1, CG_ROW_REGISTERS, x + v * n, strip + c, n,
                                 out + v * step + c, step);
}

/* What each centroid alone adds to a score: (norm - 2 * product) * unit, bounded, in whole units. */
CG_INLINE void cg_residual_terms(const float *products, const float *norms, float unit,
                                 int32_t *terms) {
    const float bound = 1 << 28;
    for (int j = 0; j < CG_KSUB; j++) {
        float exact = (norms[j] - 2 * products[j]) * unit;
        exact = exact < bound ? exact : bound;
        exact = exact > -bound ? exact : -bound;
        terms[j] = (int32_t)rintf(exact);
    }
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

/* Bytes of eight flags each: which of 256 totals are below a limit. */
CG_INLINE void cg_residual_below(const int32_t *total, int32_t limit, uint8_t *flags) {
    for (int j = 0; j < CG_KSUB; j++) flags[j] = total[j] < limit;
}

CG_INLINE void cg_residual_add(const float *row, float *sums, ptrdiff_t n) {
    for (ptrdiff_t k = 0; k < n; k++) sums[k] += row[k];
}

#endif
