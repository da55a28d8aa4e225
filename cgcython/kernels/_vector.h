/* The one place that knows vector widths and intrinsics.

   Kernels loop over `vf` as if it were a float: Cython emits + and * verbatim and the compiler
   turns each into one instruction of the level. Loads and stores go through memcpy, because rows
   are aligned to their elements only. */
#ifndef CGCYTHON_VECTOR_H
#define CGCYTHON_VECTOR_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define CG_VECTOR_BYTES 64
#elif defined(__AVX__)
#define CG_VECTOR_BYTES 32
#else
#define CG_VECTOR_BYTES 16
#endif

#define CG_LANES (CG_VECTOR_BYTES / 4)
#define CG_INLINE static inline __attribute__((always_inline))

typedef float cg_vf __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef int32_t cg_vi __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef uint32_t cg_vu __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef uint8_t cg_vb __attribute__((vector_size(CG_VECTOR_BYTES / 4))); /* one byte per lane */

CG_INLINE cg_vf cg_load(const float *p) { cg_vf v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store(float *p, cg_vf v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vu cg_load_u(const uint32_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_u(uint32_t *p, cg_vu v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) {
    cg_vb b; memcpy(&b, p, sizeof b); return __builtin_convertvector(b, cg_vu);
}
CG_INLINE void cg_store_bytes(uint8_t *p, cg_vu v) {
    cg_vb b = __builtin_convertvector(v, cg_vb); memcpy(p, &b, sizeof b);
}
CG_INLINE cg_vf cg_set(float x) { return x - (cg_vf){0}; }
CG_INLINE cg_vu cg_set_u(uint32_t x) { return x - (cg_vu){0}; }
CG_INLINE cg_vu cg_bits(cg_vf v) { return (cg_vu)v; }
CG_INLINE cg_vf cg_floats(cg_vu v) { return (cg_vf)v; }
CG_INLINE cg_vu cg_below(cg_vu a, cg_vu b) { return (cg_vu)((cg_vi)a < (cg_vi)b); }
CG_INLINE cg_vu cg_select(cg_vu mask, cg_vu a, cg_vu b) { return (a & mask) | (b & ~mask); }
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) { return cg_select(cg_below(a, b), b, a); }

/* Maximum of two vectors; b where either is NaN. */
#if defined(__AVX512F__)
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm512_max_ps((__m512)a, (__m512)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined(__AVX__)
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm256_max_ps((__m256)a, (__m256)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm256_min_ps((__m256)a, (__m256)b); }
#else
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) { return (cg_vf)_mm_max_ps((__m128)a, (__m128)b); }
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) { return (cg_vf)_mm_min_ps((__m128)a, (__m128)b); }
#endif

/* Sixteen lanes whatever the vector width: sums keep one order, so every level with FMA returns
   the same bits. */
typedef struct { cg_vf v[16 / CG_LANES]; } cg_v16;
#define CG_EACH16(i) for (int i = 0; i < 16 / CG_LANES; i++)

CG_INLINE cg_v16 cg_load16(const float *p) { cg_v16 r; memcpy(&r, p, sizeof r); return r; }
CG_INLINE cg_v16 cg_set16(float x) {
    cg_v16 r;
    CG_EACH16(i) r.v[i] = cg_set(x);
    return r;
}
CG_INLINE cg_v16 cg_load16_part(const float *p, long n) { /* zeros behind n < 16 floats */
    cg_v16 r = cg_set16(0); memcpy(&r, p, n * sizeof *p); return r;
}
CG_INLINE cg_v16 cg_mul16(cg_v16 a, cg_v16 b) {
    CG_EACH16(i) a.v[i] = a.v[i] * b.v[i];
    return a;
}
CG_INLINE cg_v16 cg_mul_add16(cg_v16 a, cg_v16 b, cg_v16 c) {
    CG_EACH16(i) c.v[i] = a.v[i] * b.v[i] + c.v[i];
    return c;
}
CG_INLINE float cg_sum16(cg_v16 a) { /* lanes i and i + 8, then 4, 2 and 1 apart */
    float s[16]; memcpy(s, &a, sizeof s);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) s[i] += s[i + half];
    return s[0];
}

#endif
