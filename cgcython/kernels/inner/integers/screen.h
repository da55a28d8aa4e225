/* Estimates of all cosines from whole numbers, and dots of the few that matter in float32. */
#ifndef CGCYTHON_SCREEN_H
#define CGCYTHON_SCREEN_H

#include "inner/integers/tile.h"

#define CG_CHAINS 8

/* Dots of whole numbers beat float32 ones by enough with dots of bytes, and where these lack FMA. */
#if CG_HAS_BYTE_DOTS || !CG_HAS_FMA
#define CG_SCREEN_PAYS 1
#else
#define CG_SCREEN_PAYS 0
#endif

/* A tile's estimates, in steps of the query, and how far they may be off: lower [32] rises to the
   highest certain one, upper gets the highest possible ones: [n][32], or [32] to rise likewise. */
typedef struct {
    const float *bounds; /* [n][2]: step and radius of each token */
    const float *slopes; /* [32]: what a radius of 1 means to a lane */
    float *lower, *upper;
} cg_reach;

CG_INLINE void cg_estimate_any(const int n, const int keep, const int two,
                               const uint8_t *rows, const int8_t *query, ptrdiff_t groups,
                               const int32_t *before, ptrdiff_t step, const cg_reach *reach,
                               int lane) {
    cg_vi a[CG_CODES_TILE], b[CG_CODES_TILE];
    cg_integer_dots(n, 0, two, rows, query + 4 * lane, groups, 0, a, b);
    CG_UNROLL for (int half = 0; half < 1 + two; half++, lane += CG_LANES) {
        cg_vf low = cg_load(reach->lower + lane), slope = cg_load(reach->slopes + lane);
        cg_vf high = keep ? cg_set(0) : cg_load(reach->upper + lane);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vi dot = (half ? b[t] : a[t]) + cg_load_i(before + t * step + lane);
            cg_vf x = cg_convert(dot, cg_vf) * reach->bounds[2 * t];
            cg_vf off = slope * reach->bounds[2 * t + 1];
            CG_PIN(off); /* rounded: which of two products fuses is for no compiler to choose */
            low = cg_max(x - off, low);
            if (keep) cg_store(reach->upper + t * CG_INTEGER_LANES + lane, x + off);
            else high = cg_max(x + off, high);
        }
        cg_store(reach->lower + lane, low);
        if (!keep) cg_store(reach->upper + lane, high);
    }
}

static void cg_estimate(ptrdiff_t n, int keep, int lanes, const uint8_t *rows,
                        const int8_t *query, ptrdiff_t groups, const int32_t *before,
                        ptrdiff_t step, const cg_reach *reach) {
    const int one = CG_LANES == 16 && lanes <= 16; /* vector holds all query tokens */
    for (int lane = 0; lane < lanes; lane += 2 * CG_LANES) {
#define CG_KEPT(N, two)                                                                       \
    if (keep) cg_estimate_any(N, 1, two, rows, query, groups, before, step, reach, lane);     \
    else cg_estimate_any(N, 0, two, rows, query, groups, before, step, reach, lane)
#define CG_CALL(N)             \
    if (one) { CG_KEPT(N, 0); } \
    else { CG_KEPT(N, 1); }
        CG_FOR_CODES_HEIGHT(n, CG_CALL)
#undef CG_CALL
#undef CG_KEPT
    }
}

/* The lanes, lowest bit first, in which a token may reach the threshold. */
CG_INLINE uint32_t cg_reaching(const float *upper, const float *least) {
    uint32_t lanes = 0;
    CG_UNROLL for (int lane = 0; lane < CG_INTEGER_LANES; lane += CG_LANES)
        lanes |= cg_above(cg_load(upper + lane), cg_load(least + lane)) << lane;
    return lanes;
}

/* Dots of a row with those query rows whose bits are set, in any order of sums. */
CG_INLINE void cg_near_whole(const float *row, const float *query, uint32_t lanes, float *dots) {
    cg_v16 parts[CG_DIMS / 16]; /* stay in registers where there are 32 */
    CG_UNROLL for (int i = 0; i < CG_DIMS / 16; i++) parts[i] = cg_load16(row + 16 * i);
    for (; lanes; lanes &= lanes - 1) {
        const float *other = query + cg_first_one(lanes) * CG_DIMS;
        cg_v16 sums = cg_mul16(parts[0], cg_load16(other));
        cg_v16 more = cg_mul16(parts[1], cg_load16(other + 16));
        CG_UNROLL for (int i = 2; i < CG_DIMS / 16; i += 2) {
            sums = cg_mul_add16(parts[i], cg_load16(other + 16 * i), sums);
            more = cg_mul_add16(parts[i + 1], cg_load16(other + 16 * i + 16), more);
        }
        *dots++ = cg_sum16(cg_mul_add16(cg_set16(1), more, sums));
    }
}

CG_INLINE void cg_near_any(const float *row, const float *query, ptrdiff_t dim, uint32_t lanes,
                           float *dots) {
    for (; lanes; lanes &= lanes - 1) {
        const float *other = query + cg_first_one(lanes) * dim;
        cg_v16 sums = cg_set16(0);
        ptrdiff_t k = 0;
        for (; k + 16 <= dim; k += 16)
            sums = cg_mul_add16(cg_load16(row + k), cg_load16(other + k), sums);
        float rest = 0;
        for (; k < dim; k++) rest += row[k] * other[k];
        *dots++ = cg_sum16(sums) + rest;
    }
}

CG_INLINE void cg_near_dots(const float *row, const float *query, ptrdiff_t dim, uint32_t lanes,
                            float *dots) {
    if (dim == CG_DIMS) cg_near_whole(row, query, lanes, dots);
    else cg_near_any(row, query, dim, lanes, dots);
}

/* Dots summed in the order of the dimensions, as MaxSim does; eight hide the adder's latency. Side
   by side in scratch, the rows take two address registers instead of sixteen. */
static void cg_exact_dots(const float *const *rows, const float *const *query, ptrdiff_t dim,
                          float *dots) {
    float sums[CG_CHAINS] = {0}, left[CG_CHAINS][CG_DIMS], right[CG_CHAINS][CG_DIMS];
    for (ptrdiff_t start = 0; start < dim; start += CG_DIMS) {
        ptrdiff_t depth = dim - start < CG_DIMS ? dim - start : CG_DIMS;
        for (int i = 0; i < CG_CHAINS; i++) {
            memcpy(left[i], rows[i] + start, depth * sizeof(float));
            memcpy(right[i], query[i] + start, depth * sizeof(float));
        }
        for (ptrdiff_t k = 0; k < depth; k++) {
            CG_UNROLL for (int i = 0; i < CG_CHAINS; i++)
                sums[i] = cg_multiply_add(left[i][k], right[i][k], sums[i]);
        }
    }
    memcpy(dots, sums, sizeof sums);
}

#endif
