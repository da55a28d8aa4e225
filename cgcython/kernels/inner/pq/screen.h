/* Whole-number scores of product quantization: 16-bit subvectors against 8-bit centroids.

   Centroids lie 64 side by side in pairs of values, so that one instruction multiplies pairs and
   adds them; sums of whole numbers are the same in any order, on every level. */
#ifndef CGCYTHON_PQ_SCREEN_H
#define CGCYTHON_PQ_SCREEN_H

#include <math.h>

#include "inner/pq/tile.h"

/* One subvector as whole steps of 1 / inverse; scores are counted in these steps. */
typedef struct {
    float inverse;
    int32_t guard; /* how many steps of a centroid's scale its score may be too high */
    float slack;   /* what rounding may add to the difference of two scores; huge: no use */
} cg_pq_query;

/* Returns max|x - centre| and sets the sum of the squares. */
static float cg_pq_peak(const float *x, const float *centre, ptrdiff_t n, float *squares) {
    cg_v16 total = {{0}};
    cg_vf least = {0};
    ptrdiff_t i = 0;
    for (; i + CG_LANES <= n; i += CG_LANES) {
        cg_vf away = cg_load(x + i) - cg_load(centre + i);
        total.v0 += away * away;
        least = cg_min(cg_min(away, -away), least);
    }
    float peak = -cg_lowest(least), sum = cg_sum16(total);
    for (; i < n; i++) {
        float away = x[i] - centre[i];
        peak = fabsf(away) > peak ? fabsf(away) : peak;
        sum += away * away;
    }
    *squares = sum;
    return peak;
}

/* steps[i] = (x - centre) * inverse, rounded; a zero behind an odd number of them. */
static void cg_pq_steps(const float *x, const float *centre, ptrdiff_t n, float inverse,
                        int16_t *steps) {
    ptrdiff_t i = 0;
    for (; i + CG_LANES <= n; i += CG_LANES) {
        cg_vf away = (cg_load(x + i) - cg_load(centre + i)) * inverse;
        cg_lane_shorts some = cg_convert(cg_nearest(away), cg_lane_shorts);
        memcpy(steps + i, &some, sizeof some);
    }
    for (; i < n; i++) steps[i] = (int16_t)lrintf((x[i] - centre[i]) * inverse);
    if (n % 2) steps[n] = 0;
}

/* sums[v][r] += dot products of vectors rows of steps with registers of columns of a strip. */
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
   limits[v] = the most that the least score can be. */
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
    for (int v = 0; v < vectors; v++) limits[v] = cg_lowest(least[v]) + queries[v].slack;
}

static void cg_pq_screen(int vectors, const int16_t *steps, ptrdiff_t stride,
                         const cg_pq_query *queries, const int8_t *codes, const float *scales,
                         const float *half_norms, ptrdiff_t pairs, float *lows, float *limits) {
    if (vectors == CG_TILE)
        cg_pq_screen_tile(CG_TILE, CG_REGISTERS, steps, stride, queries, codes, scales, half_norms,
                          pairs, lows, limits);
    else
        for (int v = 0; v < vectors; v++)
            cg_pq_screen_tile(1, CG_ROW_REGISTERS, steps + v * stride, stride, queries + v, codes,
                              scales, half_norms, pairs, lows + v * CG_KSUB, limits + v);
}

/* Sets a bit for each score of at most limit; returns the only such centroid, or -1. */
CG_INLINE int cg_pq_passing(const float *scores, float limit, uint64_t *masks) {
    int count = 0, found = 0;
    CG_UNROLL for (int i = 0; i < CG_KSUB / 64; i++) {
        uint64_t mask = 0;
        CG_UNROLL for (int j = 0; j < 64; j += CG_LANES)
            mask |= (uint64_t)cg_at_least(cg_set(limit), cg_load(scores + 64 * i + j)) << j;
        masks[i] = mask;
        count += cg_ones(mask);
        if (mask) found = 64 * i + cg_first_one(mask);
    }
    return count == 1 ? found : -1;
}

#endif
