/* Whole-number scores of product quantization: 16-bit subvectors against 8-bit centroids.

   Centroids lie 64 side by side in pairs of values, so that one instruction multiplies pairs and
   adds them; sums of whole numbers are the same in any order, on every level. */
#ifndef CGCYTHON_PQ_SCREEN_H
#define CGCYTHON_PQ_SCREEN_H

#include <math.h>

#include "inner/pq/tile.h"

typedef int16_t cg_vs __attribute__((vector_size(CG_VECTOR_BYTES / 2))); /* one per lane */

/* One subvector as whole steps of 1 / inverse; scores are counted in these steps. */
typedef struct {
    float inverse;
    int32_t guard; /* how many steps of a centroid's scale its score may be too high */
    float slack;   /* what rounding may add to the difference of two scores; huge: no use */
} cg_pq_query;

CG_INLINE cg_vi cg_set_i(int32_t x) { return x - (cg_vi){0}; }

/* One bit per lane where a <= b. */
CG_INLINE uint64_t cg_at_most(cg_vf a, cg_vf b) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LE_OQ);
#elif defined(__AVX__)
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LE_OQ));
#else
    return _mm_movemask_ps(_mm_cmple_ps((__m128)a, (__m128)b));
#endif
}

/* Lowest lane. */
CG_INLINE float cg_lowest(cg_vf v) {
#if defined(__AVX512F__)
    __m256 half = _mm256_min_ps(_mm512_castps512_ps256((__m512)v),
                                _mm512_extractf32x8_ps((__m512)v, 1));
    __m128 four = _mm_min_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(__AVX__)
    __m128 four = _mm_min_ps(_mm256_castps256_ps128((__m256)v),
                             _mm256_extractf128_ps((__m256)v, 1));
#else
    __m128 four = (__m128)v;
#endif
    four = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(four, _mm_movehdup_ps(four)));
}

CG_INLINE cg_vi cg_rounded_steps(cg_vf v) {
#if defined(__AVX512F__)
    return (cg_vi)_mm512_cvtps_epi32((__m512)v);
#elif defined(__AVX2__)
    return (cg_vi)_mm256_cvtps_epi32((__m256)v);
#else
    return (cg_vi)_mm_cvtps_epi32((__m128)v);
#endif
}

/* Bytes, two per lane, as 16-bit numbers. */
CG_INLINE cg_vi cg_widen(const int8_t *p) {
#if defined(__AVX512BW__)
    return (cg_vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
#elif defined(__AVX2__)
    return (cg_vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
#else
    return (cg_vi)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
#endif
}

/* sum + a[2i] * b[2i] + a[2i + 1] * b[2i + 1] in each lane i. */
CG_INLINE cg_vi cg_add_pairs(cg_vi sum, cg_vi a, cg_vi b) {
#if defined(__AVX512VNNI__)
    return (cg_vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512BW__)
    return sum + (cg_vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return sum + (cg_vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return sum + (cg_vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
#endif
}

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
        cg_vs some = __builtin_convertvector(cg_rounded_steps(away), cg_vs);
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
            column[r] = cg_widen(columns + 2 * (k * CG_STRIP + r * CG_LANES));
            if (vectors > 1) __asm__("" : CG_PIN(column[r]));
        }
        CG_UNROLL for (int v = 0; v < vectors; v++) {
            int32_t pair;
            memcpy(&pair, steps + v * stride + 2 * k, sizeof pair);
            CG_UNROLL for (int r = 0; r < registers; r++)
                sums[v][r] = cg_add_pairs(sums[v][r], cg_set_i(pair), column[r]);
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
                cg_vf dots = __builtin_convertvector(sums[v][r], cg_vf);
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
            mask |= cg_at_most(cg_load(scores + 64 * i + j), cg_set(limit)) << j;
        masks[i] = mask;
        count += __builtin_popcountll(mask);
        if (mask) found = 64 * i + __builtin_ctzll(mask);
    }
    return count == 1 ? found : -1;
}

#endif
