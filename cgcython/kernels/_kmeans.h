/* Sums of k-means that every level adds in the same order. */
#ifndef CGCYTHON_KMEANS_H
#define CGCYTHON_KMEANS_H

#include <stddef.h>

#include "_vector.h"

#define CG_SUMS (16 / CG_LANES) /* sixteen lanes, however many registers they take */
#if defined(__AVX512F__)
#define CG_PIN "+v"
#else
#define CG_PIN "+x"
#endif

CG_INLINE void cg_add_squares(const float *a, const float *b, cg_vf sums[CG_SUMS]) {
    for (int i = 0; i < CG_SUMS; i++) {
        cg_vf difference = cg_load(a + i * CG_LANES) - cg_load(b + i * CG_LANES);
        cg_vf square = difference * difference;
        __asm__("" : CG_PIN(square)); /* rounded: levels without FMA do the same */
        sums[i] += square;
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

CG_INLINE void cg_add_row(const float *row, double *sums, ptrdiff_t n) {
    for (ptrdiff_t i = 0; i < n; i++) sums[i] += row[i];
}

#endif
