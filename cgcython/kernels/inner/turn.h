/* Hadamard's transform of one block: passes of sums and differences of values 1, 2, 4, ... apart.

   Passes come in one order and each value has one sum a pass, so every vector width returns the
   same bits. Up to eight vectors stay in registers over all the passes between them. */
#ifndef CGCYTHON_TURN_H
#define CGCYTHON_TURN_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_HELD 8
/* In a vector each lane meets its partner. A product with 1 or -1 is exact: fused or not, the sum
   is that of a + b and a - b. */
static const float cg_signs[4][16] = {
    {1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1},
    {1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1},
    {1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1},
    {1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1},
};
#define CG_MEET(pass, partners) \
    if (size > 1 << pass) x = x * cg_load(cg_signs[pass]) + partners

/* Turn the blocks of `size` values in a vector, or the passes inside it of a larger block. */
CG_INLINE cg_vf cg_turn_lanes(cg_vf x, const int size) {
    CG_MEET(0, cg_swap1(x));
    CG_MEET(1, cg_swap2(x));
#if CG_LANES >= 8
    CG_MEET(2, cg_swap4(x));
#endif
#if CG_LANES >= 16
    CG_MEET(3, cg_swap8(x));
#endif
    return x;
}

/* All passes between n vectors that lie `step` values apart; first those `inside` each vector. */
CG_INLINE void cg_turn_vectors(const int n, const int inside, float *x, ptrdiff_t step) {
    cg_vf v[CG_HELD];
    CG_UNROLL for (int i = 0; i < n; i++) {
        v[i] = cg_load(x + i * step);
        if (inside) v[i] = cg_turn_lanes(v[i], CG_LANES);
    }
    CG_UNROLL for (int half = 1; half < n; half *= 2)
        CG_UNROLL for (int i = 0; i < n; i++)
            if (!(i & half)) {
                cg_vf a = v[i], b = v[i + half];
                v[i] = a + b;
                v[i + half] = a - b;
            }
    CG_UNROLL for (int i = 0; i < n; i++) cg_store(x + i * step, v[i]);
}

/* Turn all blocks of `size` values in n whole vectors; a block is shorter than a vector. */
static void cg_turn_short(float *x, ptrdiff_t n, ptrdiff_t size) {
#define CG_CALL(SIZE) \
    for (ptrdiff_t i = 0; i < n; i++, x += CG_LANES) cg_store(x, cg_turn_lanes(cg_load(x), SIZE))
    switch (size) {
    case 2: CG_CALL(2); return;
    case 4: CG_CALL(4); return;
    case 8: CG_CALL(8); return;
    }
#undef CG_CALL
}

/* Turn a block of `size` values, a power of two and at least one vector. */
static void cg_turn_block(float *x, ptrdiff_t size) {
    switch (size / CG_LANES) {
    case 1: cg_turn_vectors(1, 1, x, CG_LANES); return;
    case 2: cg_turn_vectors(2, 1, x, CG_LANES); return;
    case 4: cg_turn_vectors(4, 1, x, CG_LANES); return;
    }
    ptrdiff_t half = CG_HELD * CG_LANES;
    for (ptrdiff_t at = 0; at < size; at += half) cg_turn_vectors(CG_HELD, 1, x + at, CG_LANES);
    while (half < size) {
        const int many = 4 * half <= size ? 4 : 2;
        for (ptrdiff_t start = 0; start < size; start += many * half)
            for (ptrdiff_t at = start; at < start + half; at += CG_LANES) {
                if (many == 4) cg_turn_vectors(4, 0, x + at, half);
                else cg_turn_vectors(2, 0, x + at, half);
            }
        half *= many;
    }
}

#endif
