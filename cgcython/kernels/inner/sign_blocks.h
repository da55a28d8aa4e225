/* Distances of one row of bits to eight at a time, whose words lie side by side. */
#ifndef CGCYTHON_SIGN_BLOCKS_H
#define CGCYTHON_SIGN_BLOCKS_H

#include "inner/bits.h"

#define CG_EIGHT_WORDS 64 /* bytes of a word of eight rows */
#define CG_EIGHT_WORDS_PARTS (CG_EIGHT_WORDS / CG_VECTOR_BYTES)

/* Write how many bits differ between a query, each of whose words lies there eight times, and the
   eight rows of a block. */
CG_INLINE void cg_differing8(const uint64_t *query, const uint64_t *block, ptrdiff_t words,
                             uint32_t *out) {
    const uint8_t *a = (const uint8_t *)query, *b = (const uint8_t *)block;
    cg_vq counts[CG_EIGHT_WORDS_PARTS] = {{0}};
    for (ptrdiff_t i = 0; i < words * CG_EIGHT_WORDS; i += CG_EIGHT_WORDS)
        CG_UNROLL for (int p = 0; p < CG_EIGHT_WORDS_PARTS; p++)
            counts[p] += cg_differing(a + i + p * CG_VECTOR_BYTES, b + i + p * CG_VECTOR_BYTES);
    for (int p = 0; p < CG_EIGHT_WORDS_PARTS; p++)
        for (int i = 0; i < CG_VECTOR_BYTES / 8; i++) *out++ = (uint32_t)counts[p][i];
}

#endif
