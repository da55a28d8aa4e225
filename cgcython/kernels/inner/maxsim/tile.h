/* The inner tile of MaxSim: a few document tokens times two vectors of query lanes.

   Accumulators live in registers only when their loops unroll fully, so the sizes are constants.
   Each lane adds its products in the order of the dimensions: every level with FMA returns the
   same bits, whatever its width and whichever tile a token falls into. */
#ifndef CGCYTHON_MAXSIM_H
#define CGCYTHON_MAXSIM_H

#include <stddef.h>

#include "inner/maxsim/bf16.h"
#include "inner/simd/vector.h"

#define CG_SMALLEST 0x1p-80f
#define CG_LARGEST 0x1p80f

#if CG_VECTOR_REGISTERS == 32
#define CG_TILE 12
#else
#define CG_TILE 6 /* with two query vectors and a broadcast, 15 of the 16 registers */
#endif

/* Add one dimension of n rows x query to the sums of one pass, a [n] and, of two vectors, b [n]. */
CG_INLINE void cg_multiply_one(const int n, const int two, const float *rows, const float *query,
                               cg_vf *a, cg_vf *b) {
    cg_vf left = cg_load(query), right = cg_load(query + CG_LANES);
    /* Pinned: folded into each multiply-add, the loads would be repeated. */
    CG_PIN(left);
    CG_PIN(right);
    CG_UNROLL for (int t = 0; t < n; t++) {
        cg_vf value = cg_set(rows[t * CG_DEPTH]);
        a[t] += value * left;
        if (two) b[t] += value * right;
    }
}

/* Add all dimensions: two a turn, or what surrounds the multiply-adds fills a core that starts four
   instructions a cycle. A low tile has half as many lines to fetch. */
CG_INLINE void cg_multiply(const int n, const int two, const float *rows, const float *query,
                           ptrdiff_t depth, cg_ahead ahead, cg_vf *a, cg_vf *b) {
    ptrdiff_t k = 0;
    for (; k + 1 < depth; k += 2, query += 2 * CG_QUERY_LANES) {
        cg_fetch_ahead(&ahead, CG_TILE > 6 ? 2 : 1);
        cg_multiply_one(n, two, rows + k, query, a, b);
        cg_multiply_one(n, two, rows + k + 1, query + CG_QUERY_LANES, a, b);
    }
    if (k < depth) cg_multiply_one(n, two, rows + k, query, a, b);
}

/* What the rows of a tile and a query hold: numbers, or pairs of bfloat16. */
enum { CG_NUMBERS, CG_PAIRS };

typedef struct {
    const void *rows, *query; /* [n][CG_DEPTH], [depth][CG_QUERY_LANES] */
    ptrdiff_t depth;          /* numbers or pairs */
    int lanes;                /* query tokens: up to 16 take half the work */
    int more;                 /* whether sums hold the dimensions before */
    float *sums;              /* [n][CG_QUERY_LANES] */
    cg_ahead ahead;
} cg_tile;

CG_INLINE void cg_pass(const int kind, const int n, const int two, const cg_tile *t, int lane,
                       cg_vf *a, cg_vf *b) {
    CG_UNROLL for (int i = 0; i < n; i++) {
        const float *sums = t->sums + i * CG_QUERY_LANES + lane;
        a[i] = t->more ? cg_load(sums) : cg_set(0);
        b[i] = t->more && two ? cg_load(sums + CG_LANES) : cg_set(0);
    }
    if (kind == CG_PAIRS)
        cg_multiply_bf16(n, two, t->rows, (const uint16_t *)t->query + 2 * lane, t->depth,
                         t->ahead, a, b);
    else
        cg_multiply(n, two, t->rows, (const float *)t->query + lane, t->depth, t->ahead, a, b);
}

CG_INLINE void cg_add_pass(const int kind, const int n, const int two, const cg_tile *t, int lane) {
    cg_vf a[CG_TILE], b[CG_TILE];
    cg_pass(kind, n, two, t, lane, a, b);
    CG_UNROLL for (int i = 0; i < n; i++) {
        cg_store(t->sums + i * CG_QUERY_LANES + lane, a[i]);
        if (two) cg_store(t->sums + i * CG_QUERY_LANES + lane + CG_LANES, b[i]);
    }
}

CG_INLINE void cg_finish_pass(const int kind, const int n, const int two, const cg_tile *t,
                              int lane, const float *norms, float *best) {
    cg_vf a[CG_TILE], b[CG_TILE];
    cg_pass(kind, n, two, t, lane, a, b);
    cg_vf left = cg_load(best + lane), right = cg_load(best + lane + (two ? CG_LANES : 0));
    CG_UNROLL for (int i = 0; i < n; i++) {
        left = cg_max(a[i] * norms[i], left);
        if (two) right = cg_max(b[i] * norms[i], right);
    }
    cg_store(best + lane, left);
    if (two) cg_store(best + lane + CG_LANES, right);
}

/* Run a pass over each two vectors of lanes, or over the one that holds them all. */
#define CG_PASSES(PASS, kind, n, t, ...)                                  \
    if (CG_LANES == 16 && (t)->lanes <= 16) PASS(kind, n, 0, t, 0, ##__VA_ARGS__);   \
    else for (int lane = 0; lane < (t)->lanes; lane += 2 * CG_LANES)      \
        PASS(kind, n, 1, t, lane, ##__VA_ARGS__)

/* Tiles come in these heights: CG_TILE, half of it (of 32 registers), 3 and 1. */
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

/* Add the dots of n rows with a query block to the sums, or begin them. */
CG_INLINE void cg_add_any(const int kind, ptrdiff_t n, const cg_tile *t) {
#define CG_CALL(N) CG_PASSES(cg_add_pass, kind, N, t)
    CG_FOR_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

/* Complete those dots, multiply them with the norms, and raise best to the highest. */
CG_INLINE void cg_finish_any(const int kind, ptrdiff_t n, const cg_tile *t, const float *norms,
                             float *best) {
#define CG_CALL(N) CG_PASSES(cg_finish_pass, kind, N, t, norms, best)
    CG_FOR_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

static void cg_add(ptrdiff_t n, const cg_tile *t) { cg_add_any(CG_NUMBERS, n, t); }
static void cg_finish(ptrdiff_t n, const cg_tile *t, const float *norms, float *best) {
    cg_finish_any(CG_NUMBERS, n, t, norms, best);
}
static CG_UNUSED void cg_add_half_pairs(ptrdiff_t n, const cg_tile *t) { cg_add_any(CG_PAIRS, n, t); }
static CG_UNUSED void cg_finish_half_pairs(ptrdiff_t n, const cg_tile *t, const float *norms, float *best) {
    cg_finish_any(CG_PAIRS, n, t, norms, best);
}

#endif
