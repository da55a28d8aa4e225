/* Distances of k-means between short rows, which need no lanes for what they do not hold. */
#ifndef CGCYTHON_KMEANS_H
#define CGCYTHON_KMEANS_H

#include "inner/simd/vector.h"

CG_INLINE cg_f4 cg_four_squares(const float *a, const float *b) {
    cg_f4 x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x - y) * (x - y);
}

/* |a - b|**2 of 4, 8 or 16 values as sixteen lanes sum it: lanes of zeros change no sum. */
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

#endif
