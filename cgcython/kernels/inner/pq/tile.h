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
#define CG_DOUBLES (CG_VECTOR_BYTES / 8)

/* sums[v][r] += dot products of vectors rows with registers of columns of a strip. */
CG_INLINE void cg_pq_dots(int vectors, int registers, const float *x, ptrdiff_t stride,
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
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] += value * column[r];
        }
    }
}

/* out[v][0..64) += vectors rows times 64 columns; rows of x have n values. */
CG_INLINE void cg_pq_multiply_tile(int vectors, int registers, const float *x, ptrdiff_t stride,
                                   const float *strip, ptrdiff_t n, float *out,
                                   ptrdiff_t out_stride) {
    for (int c = 0; c < CG_STRIP; c += registers * CG_LANES) {
        cg_vf sums[CG_TILE][CG_ROW_REGISTERS];
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] = (cg_vf){0};
        cg_pq_dots(vectors, registers, x, stride, strip + c, n, sums);
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) {
                float *to = out + v * out_stride + c + r * CG_LANES;
                cg_store(to, cg_load(to) + sums[v][r]);
            }
    }
}

static void cg_pq_multiply(int vectors, const float *x, ptrdiff_t stride, const float *strip,
                           ptrdiff_t n, float *out, ptrdiff_t out_stride) {
    if (vectors == CG_TILE)
        cg_pq_multiply_tile(CG_TILE, CG_REGISTERS, x, stride, strip, n, out, out_stride);
    else
        for (int v = 0; v < vectors; v++)
            cg_pq_multiply_tile(1, CG_ROW_REGISTERS, x + v * stride, stride, strip, n,
                                out + v * out_stride, out_stride);
}

/* x . y, and |x - y|**2: sixteen sums, then halves added to halves. */
CG_INLINE float cg_pq_dot(const float *x, const float *y, ptrdiff_t n) {
    cg_v16 sums = cg_set16(0);
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) sums = cg_mul_add16(cg_load16(x + i), cg_load16(y + i), sums);
    if (i < n)
        sums = cg_mul_add16(cg_load16_part(x + i, n - i), cg_load16_part(y + i, n - i), sums);
    return cg_sum16(sums);
}

CG_INLINE cg_v16 cg_add_squares16(cg_v16 x, cg_v16 y, cg_v16 sums) {
#define CG_DO(i) x.v##i -= y.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return cg_mul_add16(x, x, sums);
}

CG_INLINE float cg_pq_distance(const float *x, const float *y, ptrdiff_t n) {
    cg_v16 sums = cg_set16(0);
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) sums = cg_add_squares16(cg_load16(x + i), cg_load16(y + i), sums);
    if (i < n)
        sums = cg_add_squares16(cg_load16_part(x + i, n - i), cg_load16_part(y + i, n - i), sums);
    return cg_sum16(sums);
}

CG_INLINE float cg_square_sum(const float *x, ptrdiff_t n) {
    cg_vf sums = {0};
    float total = 0;
    ptrdiff_t i = 0;
    for (; i + CG_LANES <= n; i += CG_LANES) {
        cg_vf v = cg_load(x + i);
        sums += v * v;
    }
    for (; i < n; i++) total += x[i] * x[i];
    for (int lane = 0; lane < CG_LANES; lane++) total += sums[lane];
    return total;
}

/* sums[i] += factor * row[i] in float64, each product rounded. */
CG_INLINE void cg_add_scaled(double factor, const float *row, double *sums, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + CG_DOUBLES <= n; i += CG_DOUBLES) {
        cg_half_floats narrow;
        cg_vd sum, product;
        memcpy(&narrow, row + i, sizeof narrow);
        memcpy(&sum, sums + i, sizeof sum);
        product = factor * cg_convert(narrow, cg_vd);
        CG_PIN(product);
        sum += product;
        memcpy(sums + i, &sum, sizeof sum);
    }
    for (; i < n; i++) sums[i] += cg_rounded(factor * row[i]);
}

#endif
