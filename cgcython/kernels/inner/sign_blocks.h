/* Distances of one row of bits to eight at a time, whose words lie side by side. */
#ifndef CGCYTHON_SIGN_BLOCKS_H
#define CGCYTHON_SIGN_BLOCKS_H

#include "inner/bits.h"

#define CG_BLOCK 64 /* bytes of a word of eight rows */
#define CG_BLOCK_PARTS (CG_BLOCK / CG_VECTOR_BYTES)

/* Write how many bits differ between a query, each of whose words lies there eight times, and the
   eight rows of a block. */
CG_INLINE void cg_differing8(const uint64_t *query, const uint64_t *block, long words,
                             uint32_t *out) {
    const uint8_t *a = (const uint8_t *)query, *b = (const uint8_t *)block;
    cg_vq counts[CG_BLOCK_PARTS] = {{0}};
    for (long i = 0; i < words * CG_BLOCK; i += CG_BLOCK)
        _Pragma("GCC unroll 4") for (int p = 0; p < CG_BLOCK_PARTS; p++)
            counts[p] += cg_differing(a + i + p * CG_VECTOR_BYTES, b + i + p * CG_VECTOR_BYTES);
    for (int p = 0; p < CG_BLOCK_PARTS; p++)
        for (int i = 0; i < CG_VECTOR_BYTES / 8; i++) *out++ = (uint32_t)counts[p][i];
}

#endif
