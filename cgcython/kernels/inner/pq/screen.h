/* Whole-number scores of product quantization: 16-bit subvectors against 8-bit centroids.

   Centroids lie 64 side by side in pairs of values, so that one instruction multiplies pairs and
   adds them; sums of whole numbers are the same in any order, on every level. */
#ifndef CGCYTHON_PQ_SCREEN_H
#define CGCYTHON_PQ_SCREEN_H

#include "inner/pq/tile.h"

/* One subvector as whole steps of 1 / inverse; scores are counted in these steps. */
typedef struct {
    float inverse;
    int32_t guard; /* how many steps of a centroid's scale its score may be too high */
    float slack;   /* what rounding may add to the difference of two scores; huge: no use */
} cg_pq_query;

/* Rounded to whole steps. */
CG_INLINE void cg_pq_store_steps(int16_t *steps, cg_vf away) {
    cg_lane_shorts some = cg_convert(cg_nearest(away), cg_lane_shorts);
    memcpy(steps, &some, sizeof some);
}

/* sums[v][r] += dot products of vectors rows of steps with registers of columns of a strip. C,
   because Cython cannot ask for unrolled loops: codes of 8 x 64 values take 1.22 times as long
   without at v3, 1.30 at v4x. */
CG_INLINE void cg_pq_pair_dots(int vectors, int registers, const int16_t *steps, ptrdiff_t stride,
                               const int8_t *columns, ptrdiff_t pairs,
                               cg_vi sums[CG_TILE][CG_ROW_REGISTERS]) {
    for (ptrdiff_t k = 0; k < pairs; k++) {
        cg_vi column[CG_ROW_REGISTERS];
        CG_UNROLL for (int r = 0; r < registers; r++) {
            column[r] = cg_load_shorts(columns + 2 * (k * CG_STRIP + r * CG_LANES));
            if (vectors > 1) CG_PIN(column[r]);
        }
        CG_UNROLL for (int v = 0; v < vectors; v++) {
            int32_t pair;
            memcpy(&pair, steps + v * stride + 2 * k, sizeof pair);
            CG_UNROLL for (int r = 0; r < registers; r++)
                sums[v][r] = cg_add_products(sums[v][r], cg_set_i(pair), column[r]);
        }
    }
}

/* lows[v][c] = the least that the score |c|**2 / 2 - x . c of a centroid can be;
   limits[v] = the most that the least score can be, but for what rounding adds. */
CG_INLINE void cg_pq_screen_tile(int vectors, int registers, const int16_t *steps, ptrdiff_t stride,
                                 const cg_pq_query *queries, const int8_t *codes,
                                 const float *scales, const float *half_norms, ptrdiff_t pairs,
                                 float *lows, float *limits) {
    cg_vf least[CG_TILE];
    CG_UNROLL for (int v = 0; v < vectors; v++) least[v] = cg_set(3e38f);
    for (int c = 0; c < CG_KSUB; c += registers * CG_LANES) {
        const int8_t *columns = codes + 2 * (c / CG_STRIP * pairs * CG_STRIP + c % CG_STRIP);
        cg_vi sums[CG_TILE][CG_ROW_REGISTERS];
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] = cg_set_i(queries[v].guard);
        cg_pq_pair_dots(vectors, registers, steps, stride, columns, pairs, sums);
        CG_UNROLL for (int r = 0; r < registers; r++) {
            cg_vf half = cg_load(half_norms + c + r * CG_LANES);
            cg_vf scale = cg_load(scales + c + r * CG_LANES);
            CG_UNROLL for (int v = 0; v < vectors; v++) {
                cg_vf dots = cg_convert(sums[v][r], cg_vf);
                cg_vf low = half * queries[v].inverse - scale * dots;
                cg_store(lows + v * CG_KSUB + c + r * CG_LANES, low);
                least[v] = cg_min(low + scale * (2.0f * queries[v].guard), least[v]);
            }
        }
    }
    for (int v = 0; v < vectors; v++) limits[v] = cg_lowest(least[v]);
}

/* A whole tile, or one row of fewer. */
CG_INLINE void cg_pq_screen_rows(const int16_t *steps, ptrdiff_t stride, const cg_pq_query *queries,
                                 const int8_t *codes, const float *scales, const float *half_norms,
                                 ptrdiff_t pairs, float *lows, float *limits) {
    cg_pq_screen_tile(CG_TILE, CG_REGISTERS, steps, stride, queries, codes, scales, half_norms,
                      pairs, lows, limits);
}
CG_INLINE void cg_pq_screen_row(const int16_t *steps, const cg_pq_query *query, const int8_t *codes,
                                const float *scales, const float *half_norms, ptrdiff_t pairs,
                                float *lows, float *limit) {
    cg_pq_screen_tile(1, CG_ROW_REGISTERS, steps, 0, query, codes, scales, half_norms, pairs, lows,
                      limit);
}

/* A bit for each of 64 scores of at most limit. */
CG_INLINE uint64_t cg_pq_at_most64(const float *scores, float limit) {
    uint64_t mask = 0;
    CG_UNROLL for (int j = 0; j < 64; j += CG_LANES)
        mask |= (uint64_t)cg_at_least(cg_set(limit), cg_load(scores + j)) << j;
    return mask;
}

#endif
