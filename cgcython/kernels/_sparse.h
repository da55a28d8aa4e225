/* Bit fields, float16 and gathers for sparse vectors. */
#ifndef CGCYTHON_SPARSE_H
#define CGCYTHON_SPARSE_H

#include "_vector.h"

CG_INLINE uint32_t cg_bits_of(float x) { uint32_t b; memcpy(&b, &x, 4); return b; }
CG_INLINE float cg_float_of(uint32_t b) { float x; memcpy(&x, &b, 4); return x; }
CG_INLINE uint32_t cg_read32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
CG_INLINE uint64_t cg_read64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
CG_INLINE void cg_write16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }
CG_INLINE void cg_write32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
CG_INLINE void cg_write64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

#endif
