/* Inner tiles of product quantization: some vectors against columns that lie 64 side by side.

   Every lane sums over the dimension in order, so all levels with FMA return the same bits. */
#ifndef CGCYTHON_PQ_H
#define CGCYTHON_PQ_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_STRIP 64
#define CG_KSUB 256
#define CG_TILE 6 /* vectors */
#if CG_LANES == 16
#define CG_REGISTERS 4 /* columns of a tile, in vectors: 24 sums of 32 registers */
#define CG_ROW_REGISTERS 4 /* of one vector: enough sums that none waits for itself */
#elif CG_VECTOR_REGISTERS == 32
#define CG_REGISTERS 4
#define CG_ROW_REGISTERS 8
#else
#define CG_REGISTERS 2 /* 12 sums of 16 registers */
#define CG_ROW_REGISTERS 8
#endif

/* sums[v][r] += dot products of vectors rows with registers of columns of a strip; rounded: each
   product before it is added, as levels without FMA do. C, because Cython cannot ask for unrolled
   loops: without, codes of 8 x 64 values that are turned take 1.1 times as long at v3 and v4x. */
CG_INLINE void cg_pq_dots(int rounded, int vectors, int registers, const float *x, ptrdiff_t stride,
                          const float *columns, ptrdiff_t n,
                          cg_vf sums[CG_TILE][CG_ROW_REGISTERS]) {
    for (ptrdiff_t k = 0; k < n; k++) {
        cg_vf column[CG_ROW_REGISTERS];
        /* One row waits for its columns; with short vectors it waits for instructions instead. */
        if (vectors == 1 && CG_LANES == 16)
            for (int i = 0; i < registers * CG_LANES; i += 16)
                cg_fetch(columns + (k + 8) * CG_STRIP + i);
        CG_UNROLL for (int r = 0; r < registers; r++) {
            column[r] = cg_load(columns + k * CG_STRIP + r * CG_LANES);
            /* Unless pinned, the load is folded into, and repeated by, the FMA of every vector. */
            if (vectors > 1) CG_PIN(column[r]);
        }
        CG_UNROLL for (int v = 0; v < vectors; v++) {
            cg_vf value = cg_set(x[v * stride + k]);
            CG_UNROLL for (int r = 0; r < registers; r++) {
                cg_vf product = value * column[r];
                if (rounded) CG_PIN(product);
                sums[v][r] += product;
            }
        }
    }
}

/* out[v][0..64) += vectors rows times 64 columns; rows of x have n values. */
CG_INLINE void cg_pq_multiply_tile(int rounded, int vectors, int registers, const float *x,
                                   ptrdiff_t stride, const float *strip, ptrdiff_t n, float *out,
                                   ptrdiff_t out_stride) {
    for (int c = 0; c < CG_STRIP; c += registers * CG_LANES) {
        cg_vf sums[CG_TILE][CG_ROW_REGISTERS];
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] = (cg_vf){0};
        cg_pq_dots(rounded, vectors, registers, x, stride, strip + c, n, sums);
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) {
                float *to = out + v * out_stride + c + r * CG_LANES;
                cg_store(to, cg_load(to) + sums[v][r]);
            }
    }
}

/* A whole tile, or one row of fewer. Functions of their own keep the places of all rows in
   registers: inlined, decoding takes 1.16 times the instructions at v3. */
static CG_OWN CG_UNUSED void cg_pq_multiply_rows(const float *x, ptrdiff_t stride,
                                                 const float *strip, ptrdiff_t n, float *out,
                                                 ptrdiff_t out_stride) {
    cg_pq_multiply_tile(0, CG_TILE, CG_REGISTERS, x, stride, strip, n, out, out_stride);
}
CG_INLINE void cg_pq_multiply_row(const float *x, const float *strip, ptrdiff_t n, float *out) {
    cg_pq_multiply_tile(0, 1, CG_ROW_REGISTERS, x, 0, strip, n, out, 0);
}

static CG_OWN CG_UNUSED void cg_pq_multiply_rows_rounded(const float *x, ptrdiff_t stride,
                                                         const float *strip, ptrdiff_t n,
                                                         float *out, ptrdiff_t out_stride) {
    cg_pq_multiply_tile(1, CG_TILE, CG_REGISTERS, x, stride, strip, n, out, out_stride);
}
CG_INLINE void cg_pq_multiply_row_rounded(const float *x, const float *strip, ptrdiff_t n,
                                          float *out) {
    cg_pq_multiply_tile(1, 1, CG_ROW_REGISTERS, x, 0, strip, n, out, 0);
}

/* sums[i] += factor * row[i] in float64, each product rounded, CG_DOUBLES of them. */
CG_INLINE void cg_add_scaled_doubles(double factor, const float *row, double *sums) {
    cg_half_floats narrow;
    memcpy(&narrow, row, sizeof narrow);
    cg_vd product = factor * cg_convert(narrow, cg_vd);
    CG_PIN(product);
    cg_store_d(sums, cg_load_d(sums) + product);
}

#endif
