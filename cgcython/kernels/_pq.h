/* Inner tiles of product quantization: some vectors against columns that lie 64 side by side.

   Every lane sums over the dimension in order, so all levels with FMA return the same bits. */
#ifndef CGCYTHON_PQ_H
#define CGCYTHON_PQ_H

#include <stddef.h>

#include "_vector.h"

#define CG_STRIP 64
#define CG_CENTROIDS 256
#define CG_TILE 6 /* vectors */
#if defined(__AVX512F__)
#define CG_REGISTERS 4 /* columns of a tile, in vectors: 24 sums of 32 registers */
#define CG_PIN "+v"
#else
#define CG_REGISTERS 2 /* 12 sums of 16 registers */
#define CG_PIN "+x"
#endif
#if defined(__AVX512F__)
#define CG_ROW_REGISTERS 4 /* of one vector: enough sums that none waits for itself */
#else
#define CG_ROW_REGISTERS 8
#endif
#define CG_UNROLL _Pragma("GCC unroll 16")

typedef double cg_vd __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef float cg_vh __attribute__((vector_size(CG_VECTOR_BYTES / 2)));
#define CG_DOUBLES (CG_VECTOR_BYTES / 8)

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

/* sums[v][r] += dot products of vectors rows with registers of columns of a strip. */
CG_INLINE void cg_pq_dots(int vectors, int registers, const float *x, ptrdiff_t stride,
                          const float *columns, ptrdiff_t n,
                          cg_vf sums[CG_TILE][CG_ROW_REGISTERS]) {
    for (ptrdiff_t k = 0; k < n; k++) {
        cg_vf column[CG_ROW_REGISTERS];
        CG_UNROLL for (int r = 0; r < registers; r++) {
            column[r] = cg_load(columns + k * CG_STRIP + r * CG_LANES);
            /* Unless pinned, the load is folded into, and repeated by, the FMA of every vector. */
            if (vectors > 1) __asm__("" : CG_PIN(column[r]));
        }
        CG_UNROLL for (int v = 0; v < vectors; v++) {
            cg_vf value = cg_set(x[v * stride + k]);
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] += value * column[r];
        }
    }
}

/* scores[v][c] = |c|**2 / 2 - x . c for the centroids of one part; lowest[v] = the least. */
CG_INLINE void cg_pq_tile(int vectors, int registers, const float *x, ptrdiff_t stride,
                          const float *strips, const float *half_norms, ptrdiff_t n,
                          float *scores, float *lowest) {
    cg_vf least[CG_TILE];
    for (int v = 0; v < vectors; v++) least[v] = cg_load(half_norms) + 3e38f;
    for (int c = 0; c < CG_CENTROIDS; c += registers * CG_LANES) {
        const float *columns = strips + (c / CG_STRIP) * n * CG_STRIP + c % CG_STRIP;
        cg_vf sums[CG_TILE][CG_ROW_REGISTERS];
        CG_UNROLL for (int v = 0; v < vectors; v++)
            CG_UNROLL for (int r = 0; r < registers; r++) sums[v][r] = (cg_vf){0};
        cg_pq_dots(vectors, registers, x, stride, columns, n, sums);
        CG_UNROLL for (int r = 0; r < registers; r++) {
            cg_vf half = cg_load(half_norms + c + r * CG_LANES);
            CG_UNROLL for (int v = 0; v < vectors; v++) {
                cg_vf score = half - sums[v][r];
                cg_store(scores + v * CG_CENTROIDS + c + r * CG_LANES, score);
                least[v] = cg_min(score, least[v]);
            }
        }
    }
    for (int v = 0; v < vectors; v++) lowest[v] = cg_lowest(least[v]);
}

static void cg_pq_scores(int vectors, const float *x, ptrdiff_t stride, const float *strips,
                         const float *half_norms, ptrdiff_t n, float *scores, float *lowest) {
    if (vectors == CG_TILE)
        cg_pq_tile(CG_TILE, CG_REGISTERS, x, stride, strips, half_norms, n, scores, lowest);
    else
        for (int v = 0; v < vectors; v++)
            cg_pq_tile(1, CG_ROW_REGISTERS, x + v * stride, stride, strips, half_norms, n,
                       scores + v * CG_CENTROIDS, lowest + v);
}

/* The only centroid that scores at most limit, or -1 where there are more (or none). */
CG_INLINE int cg_pq_winner(const float *scores, float limit) {
    uint64_t masks[CG_CENTROIDS / 64];
    int count = 0, winner = 0;
    for (int i = 0; i < CG_CENTROIDS / 64; i++) {
        uint64_t mask = 0;
        CG_UNROLL for (int j = 0; j < 64; j += CG_LANES)
            mask |= cg_at_most(cg_load(scores + 64 * i + j), cg_set(limit)) << j;
        masks[i] = mask;
    }
    for (int i = 0; i < CG_CENTROIDS / 64; i++) {
        count += __builtin_popcountll(masks[i]);
        if (masks[i]) winner = 64 * i + __builtin_ctzll(masks[i]);
    }
    return count == 1 ? winner : -1;
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

/* out[c] = |x - c|**2 for the centroids of one part. */
static void cg_pq_distances(const float *x, const float *strips, ptrdiff_t n, float *out) {
    for (int c = 0; c < CG_CENTROIDS; c += CG_ROW_REGISTERS * CG_LANES) {
        const float *columns = strips + (c / CG_STRIP) * n * CG_STRIP + c % CG_STRIP;
        cg_vf sums[CG_ROW_REGISTERS] = {{0}};
        for (ptrdiff_t k = 0; k < n; k++) {
            CG_UNROLL for (int r = 0; r < CG_ROW_REGISTERS; r++) {
                cg_vf away = x[k] - cg_load(columns + k * CG_STRIP + r * CG_LANES);
                sums[r] += away * away;
            }
        }
        for (int r = 0; r < CG_ROW_REGISTERS; r++) cg_store(out + c + r * CG_LANES, sums[r]);
    }
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

/* A product that no later addition may fuse with: every level rounds it. */
CG_INLINE double cg_rounded(double product) {
    __asm__("" : "+x"(product));
    return product;
}

/* sums[i] += factor * row[i] in float64, each product rounded. */
CG_INLINE void cg_add_scaled(double factor, const float *row, double *sums, ptrdiff_t n) {
    ptrdiff_t i = 0;
    for (; i + CG_DOUBLES <= n; i += CG_DOUBLES) {
        cg_vh narrow;
        cg_vd sum, product;
        memcpy(&narrow, row + i, sizeof narrow);
        memcpy(&sum, sums + i, sizeof sum);
        product = factor * __builtin_convertvector(narrow, cg_vd);
        __asm__("" : CG_PIN(product));
        sum += product;
        memcpy(sums + i, &sum, sizeof sum);
    }
    for (; i < n; i++) sums[i] += cg_rounded(factor * row[i]);
}

#endif
