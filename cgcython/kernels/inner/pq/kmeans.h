/* Sums of k-means that every level adds in the same order. */
#ifndef CGCYTHON_KMEANS_H
#define CGCYTHON_KMEANS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_SUMS (16 / CG_LANES) /* sixteen lanes, however many registers they take */

CG_INLINE void cg_add_squares(const float *a, const float *b, cg_vf sums[CG_SUMS]) {
    for (int i = 0; i < CG_SUMS; i++) {
        cg_vf difference = cg_load(a + i * CG_LANES) - cg_load(b + i * CG_LANES);
        sums[i] += difference * difference;
    }
}

/* |a - b|**2: sixteen sums, the last values padded with zeros, then halves added to halves. */
CG_INLINE float cg_square_distance(const float *a, const float *b, ptrdiff_t n) {
    cg_vf sums[CG_SUMS] = {0};
    float lanes[16], last[2][16] = {{0}};
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) cg_add_squares(a + i, b + i, sums);
    if (i < n) {
        memcpy(last[0], a + i, (n - i) * sizeof *a);
        memcpy(last[1], b + i, (n - i) * sizeof *b);
        cg_add_squares(last[0], last[1], sums);
    }
    for (i = 0; i < CG_SUMS; i++) cg_store(lanes + i * CG_LANES, sums[i]);
    for (int half = 8; half; half /= 2)
        for (i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

CG_INLINE cg_f4 cg_four_squares(const float *a, const float *b) {
    cg_f4 x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x - y) * (x - y);
}

/* The same for 4, 8 or 16 values: lanes of zeros change no sum. */
CG_INLINE float cg_short_distance(const float *a, const float *b, const int n) {
    cg_f4 sum = cg_four_squares(a, b);
    if (n > 8) sum += cg_four_squares(a + 8, b + 8);
    if (n > 4) {
        cg_f4 other = cg_four_squares(a + 4, b + 4);
        if (n > 8) other += cg_four_squares(a + 12, b + 12);
        sum += other;
    }
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

CG_INLINE void cg_shrink_short(const float *values, const float *centre, float *distances,
                               ptrdiff_t count, const int n) {
    for (ptrdiff_t i = 0; i < count; i++) {
        float distance = cg_short_distance(values + i * n, centre, n);
        distances[i] = distance < distances[i] ? distance : distances[i];
    }
}

static void cg_shrink(const float *values, const float *centre, float *distances, ptrdiff_t count,
                      ptrdiff_t n) {
    switch (n) {
    case 4: cg_shrink_short(values, centre, distances, count, 4); return;
    case 8: cg_shrink_short(values, centre, distances, count, 8); return;
    case 16: cg_shrink_short(values, centre, distances, count, 16); return;
    }
    for (ptrdiff_t i = 0; i < count; i++) {
        float distance = cg_square_distance(values + i * n, centre, n);
        distances[i] = distance < distances[i] ? distance : distances[i];
    }
}

CG_INLINE void cg_add_row(const float *row, double *sums, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) sums[i] += row[i];
}

#endif
