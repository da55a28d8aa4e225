/* The inner tile of MaxSim: a few document tokens times two vectors of query lanes.

   Accumulators live in registers only when their loops unroll fully, so the sizes are constants.
   Each lane adds its products in the order of the dimensions: every level with FMA returns the
   same bits, whatever its width and whichever tile a token falls into. */
#ifndef CGCYTHON_MAXSIM_H
#define CGCYTHON_MAXSIM_H

#include <stddef.h>

#include "_vector.h"

#define CG_QUERY_LANES 32
#define CG_DEPTH 128 /* dimensions a tile handles at once, and the floats between its rows */
#define CG_SMALLEST 0x1p-80f
#define CG_LARGEST 0x1p80f

#if defined(__AVX512F__)
#define CG_TILE 12
#define CG_REGISTER "+v"
#else
#define CG_TILE 6 /* with two query vectors and a broadcast, 15 of the 16 registers */
#define CG_REGISTER "+x"
#endif

#define CG_UNROLL _Pragma("GCC unroll 16")

/* Add n rows x query to the sums of one pass, a and b [n]. */
CG_INLINE void cg_multiply(const int n, const float *rows, const float *query, ptrdiff_t depth,
                           cg_vf *a, cg_vf *b) {
    for (ptrdiff_t k = 0; k < depth; k++, query += CG_QUERY_LANES) {
        cg_vf left = cg_load(query), right = cg_load(query + CG_LANES);
        /* Pinned: folded into each multiply-add, the loads would be repeated. */
        __asm__("" : CG_REGISTER(left), CG_REGISTER(right));
        /* The tile behind this one, a line at a time: rows side by side hide it from hardware. */
        __builtin_prefetch(rows + n * (CG_DEPTH + k));
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vf value = cg_set(rows[t * CG_DEPTH + k]);
            a[t] += value * left;
            b[t] += value * right;
        }
    }
}

CG_INLINE void cg_begin(const int n, const float *sums, int more, cg_vf *a, cg_vf *b) {
    CG_UNROLL for (int t = 0; t < n; t++) {
        a[t] = more ? cg_load(sums + t * CG_QUERY_LANES) : cg_set(0);
        b[t] = more ? cg_load(sums + t * CG_QUERY_LANES + CG_LANES) : cg_set(0);
    }
}

CG_INLINE void cg_add_any(const int n, const float *rows, const float *query, ptrdiff_t depth,
                          float *sums, int more) {
    for (int lane = 0; lane < CG_QUERY_LANES; lane += 2 * CG_LANES) {
        cg_vf a[CG_TILE], b[CG_TILE];
        cg_begin(n, sums + lane, more, a, b);
        cg_multiply(n, rows, query + lane, depth, a, b);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_store(sums + t * CG_QUERY_LANES + lane, a[t]);
            cg_store(sums + t * CG_QUERY_LANES + lane + CG_LANES, b[t]);
        }
    }
}

CG_INLINE void cg_finish_any(const int n, const float *rows, const float *query, ptrdiff_t depth,
                             const float *sums, int more, const float *norms, float *best) {
    for (int lane = 0; lane < CG_QUERY_LANES; lane += 2 * CG_LANES) {
        cg_vf a[CG_TILE], b[CG_TILE];
        cg_begin(n, sums + lane, more, a, b);
        cg_multiply(n, rows, query + lane, depth, a, b);
        cg_vf left = cg_load(best + lane), right = cg_load(best + lane + CG_LANES);
        CG_UNROLL for (int t = 0; t < n; t++) {
            left = cg_max(a[t] * norms[t], left);
            right = cg_max(b[t] * norms[t], right);
        }
        cg_store(best + lane, left);
        cg_store(best + lane + CG_LANES, right);
    }
}

/* Tiles come in these heights: CG_TILE, half of it (AVX-512), 3 and 1. */
#define CG_FOR_HEIGHT(n, CALL)                    \
    switch (n) {                                  \
    case CG_TILE: CALL(CG_TILE); break;           \
    CG_HALF_TILE(CALL)                            \
    case 3: CALL(3); break;                       \
    default: CALL(1);                             \
    }
#if CG_TILE > 6
#define CG_HALF_TILE(CALL) case 6: CALL(6); break;
#else
#define CG_HALF_TILE(CALL)
#endif

CG_INLINE ptrdiff_t cg_tile_height(ptrdiff_t left, ptrdiff_t count) {
    /* The smallest tile that holds all that is left and fits the document, or the largest that
       does not overlap: a tile may reach back over tokens done before. */
    static const ptrdiff_t heights[] = {1, 3, 6, CG_TILE};
    for (int i = 0; i < 4; i++)
        if (heights[i] >= left && heights[i] <= count) return heights[i];
    for (int i = 3; i; i--)
        if (heights[i] <= left) return heights[i];
    return 1;
}

/* Add the dots of n rows with a query block to sums [n][CG_QUERY_LANES], or begin them. */
static void cg_add(ptrdiff_t n, const float *rows, const float *query, ptrdiff_t depth,
                   float *sums, int more) {
#define CG_CALL(N) cg_add_any(N, rows, query, depth, sums, more)
    CG_FOR_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

/* Complete those dots, multiply them with the norms, and raise best to the highest. */
static void cg_finish(ptrdiff_t n, const float *rows, const float *query, ptrdiff_t depth,
                      const float *sums, int more, const float *norms, float *best) {
#define CG_CALL(N) cg_finish_any(N, rows, query, depth, sums, more, norms, best)
    CG_FOR_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

/* Write four rows, each times its factor, as columns CG_QUERY_LANES apart. */
CG_INLINE void cg_turn(const float *rows, ptrdiff_t dim, const float *factors, float *columns) {
    ptrdiff_t whole = dim - dim % 4;
    for (ptrdiff_t k = 0; k < whole; k += 4) {
        __m128 r0 = _mm_mul_ps(_mm_loadu_ps(rows + k), _mm_set1_ps(factors[0]));
        __m128 r1 = _mm_mul_ps(_mm_loadu_ps(rows + dim + k), _mm_set1_ps(factors[1]));
        __m128 r2 = _mm_mul_ps(_mm_loadu_ps(rows + 2 * dim + k), _mm_set1_ps(factors[2]));
        __m128 r3 = _mm_mul_ps(_mm_loadu_ps(rows + 3 * dim + k), _mm_set1_ps(factors[3]));
        _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
        _mm_storeu_ps(columns + k * CG_QUERY_LANES, r0);
        _mm_storeu_ps(columns + (k + 1) * CG_QUERY_LANES, r1);
        _mm_storeu_ps(columns + (k + 2) * CG_QUERY_LANES, r2);
        _mm_storeu_ps(columns + (k + 3) * CG_QUERY_LANES, r3);
    }
    for (ptrdiff_t k = whole; k < dim; k++)
        for (int i = 0; i < 4; i++) columns[k * CG_QUERY_LANES + i] = rows[i * dim + k] * factors[i];
}

#endif
