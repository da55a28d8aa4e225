/* Sums over the sixteen lanes of a token that must be the same on every level. */
#ifndef CGCYTHON_SCORES_H
#define CGCYTHON_SCORES_H

#include "inner/simd/vector.h"

#define CG_LEAST_SQUARES 0x1p-80f /* below it, squares that vanish would count */
#define CG_LEAST_SUM 0x1p-4f      /* between these, sums of sizes need no factor */
#define CG_MOST_SUM 0x1p12f

/* Each square is rounded before it is added, also where a fused step exists. */
CG_INLINE cg_v16 cg_add_squares16(cg_v16 x, cg_v16 sums) {
#define CG_DO(i)                                \
    x.v##i = x.v##i * x.v##i;                   \
    CG_PIN(x.v##i);                 \
    sums.v##i = sums.v##i + x.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return sums;
}

/* The binary logarithm of normal numbers, within 1e-7; finite at 0. */
CG_INLINE cg_vf cg_log2(cg_vf x) {
    /* x is m * 2**e with m between 2/3 and 4/3. */
    cg_vi e = ((cg_vi)x - 0x3F2AAAAB) >> 23;
    cg_vf f = (cg_vf)((cg_vi)x - (e << 23)) - 1.0f;
    cg_vf s = f * f;
    cg_vf odd = s * -0.23198196f + -0.23467967f;
    cg_vf even = s * 0.25202674f + 0.28458792f;
    odd = odd * s + -0.36092767f;
    even = even * s + 0.48101974f;
    odd = odd * s + -0.72134393f;
    even = even * s + 1.44269407f;
    return (odd * f + even) * f + cg_convert(e, cg_vf);
}

/* Add |x| and |x| log2 |x| of sixteen values times a factor. */
CG_INLINE void cg_add_sizes16(cg_v16 x, float factor, cg_v16 *sums, cg_v16 *weighted) {
#define CG_DO(i)                                                                \
    cg_vf size##i = cg_floats(cg_bits(x.v##i) & 0x7FFFFFFF) * factor;           \
    sums->v##i += size##i;                                                      \
    weighted->v##i = size##i * cg_log2(size##i) + weighted->v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
}

#endif
