/* Results too large for any cache, written around the caches: no line is read to be overwritten. */
#ifndef CGCYTHON_STREAM_H
#define CGCYTHON_STREAM_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_LINE 64

/* How many bytes lie before the next whole line. */
CG_INLINE ptrdiff_t cg_before_line(const void *to) { return -(uintptr_t)to & (CG_LINE - 1); }

CG_INLINE void cg_stream_line(uint8_t *to, const uint8_t *from) {
    for (int i = 0; i < CG_LINE; i += CG_VECTOR_BYTES)
        cg_stream_floats((float *)(to + i), cg_load((const float *)(from + i)));
}

#endif
