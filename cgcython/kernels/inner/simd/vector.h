/* The same vectors on every machine: the only header of simd/ that the kernels include.

   Kernels loop over `cg_vf` as if it were a float: Cython emits + and * verbatim and the compiler
   turns each into one instruction of the level. What plain operators cannot say are functions here.
   The machine's header defines those it has an instruction for, each followed by a macro of its own
   name; generic.h defines the others in vector types. A new machine works by generic.h alone, and
   becomes fast name by name. CG_GENERIC leaves out what is known of any machine. */
#ifndef CGCYTHON_VECTOR_H
#define CGCYTHON_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "inner/simd/compiler.h"

/* How wide a vector is, and how many registers hold one. */
#if !defined(CG_GENERIC) && defined(__AVX512F__)
#define CG_VECTOR_BYTES 64
#elif !defined(CG_GENERIC) && defined(__AVX2__)
#define CG_VECTOR_BYTES 32
#else
#define CG_VECTOR_BYTES 16
#endif
#if defined(__AVX512F__) || defined(__aarch64__)
#define CG_VECTOR_REGISTERS 32
#else
#define CG_VECTOR_REGISTERS 16
#endif
#define CG_LANES (CG_VECTOR_BYTES / 4)
#define CG_DOUBLES (CG_VECTOR_BYTES / 8)

/* What products and sums take one instruction. */
#if defined(__FMA__) || defined(__aarch64__)
#define CG_HAS_FMA 1
#else
#define CG_HAS_FMA 0
#endif

/* Whole vectors: of floats, doubles, whole numbers of 32, 64, 16 and 8 bits. */
typedef CG_VECTOR(float, CG_VECTOR_BYTES) cg_vf;
typedef CG_VECTOR(double, CG_VECTOR_BYTES) cg_vd;
typedef CG_VECTOR(int32_t, CG_VECTOR_BYTES) cg_vi;
typedef CG_VECTOR(uint32_t, CG_VECTOR_BYTES) cg_vu;
typedef CG_VECTOR(int64_t, CG_VECTOR_BYTES) cg_vl;
typedef CG_VECTOR(uint64_t, CG_VECTOR_BYTES) cg_vq;
typedef CG_VECTOR(int16_t, CG_VECTOR_BYTES) cg_vs;
typedef CG_VECTOR(uint16_t, CG_VECTOR_BYTES) cg_vw;
typedef CG_VECTOR(uint8_t, CG_VECTOR_BYTES) cg_vc;
/* Parts of vectors: a byte or a 16-bit number for each lane, half as many floats, bytes. */
typedef CG_VECTOR(uint8_t, CG_VECTOR_BYTES / 4) cg_lane_bytes;
typedef CG_VECTOR(int16_t, CG_VECTOR_BYTES / 2) cg_lane_shorts;
typedef CG_VECTOR(uint16_t, CG_VECTOR_BYTES / 2) cg_lane_words;
typedef CG_VECTOR(float, CG_VECTOR_BYTES / 2) cg_half_floats;
typedef CG_VECTOR(uint8_t, CG_VECTOR_BYTES / 2) cg_half_bytes;
/* Of one size on every machine. */
typedef CG_VECTOR(float, 16) cg_f4;
typedef CG_VECTOR(float, 32) cg_f8;
typedef CG_VECTOR(uint32_t, 32) cg_u8;

/* To a vector of other numbers of the same count: rounded towards zero, or cut off. */
#define cg_convert(v, type) __builtin_convertvector(v, type)

/* The first multiple of 64 bytes: a vector over two cache lines costs two reads. Arrays on the
   stack leave CG_SLACK floats for it. */
#define CG_SLACK 16
CG_INLINE float *cg_aligned(float *p) { return (float *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

/* Loads and stores go through memcpy, because rows are aligned to their elements only. */
CG_INLINE cg_vf cg_load(const float *p) { cg_vf v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store(float *p, cg_vf v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vu cg_load_u(const uint32_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_u(uint32_t *p, cg_vu v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vi cg_load_i(const int32_t *p) { cg_vi v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_i(int32_t *p, cg_vi v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vd cg_load_d(const double *p) { cg_vd v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_d(double *p, cg_vd v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vc cg_load_c(const void *p) { cg_vc v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_c(void *p, cg_vc v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_f4 cg_load4(const float *p) { cg_f4 v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store4(float *p, cg_f4 v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_vf cg_set(float x) { return x - (cg_vf){0}; }
CG_INLINE cg_vu cg_set_u(uint32_t x) { return x - (cg_vu){0}; }
CG_INLINE cg_vi cg_set_i(int32_t x) { return x - (cg_vi){0}; }
CG_INLINE cg_vd cg_set_d(double x) { return x - (cg_vd){0}; }
CG_INLINE cg_vc cg_set_c(uint8_t x) { return x - (cg_vc){0}; }
CG_INLINE cg_vu cg_load_widened(const int16_t *p) {
    cg_lane_shorts v;
    memcpy(&v, p, sizeof v);
    return (cg_vu)cg_convert(v, cg_vi);
}
CG_INLINE cg_vu cg_bits(cg_vf v) { return (cg_vu)v; }
CG_INLINE cg_vf cg_floats(cg_vu v) { return (cg_vf)v; }
CG_INLINE cg_vu cg_below(cg_vu a, cg_vu b) { return (cg_vu)((cg_vi)a < (cg_vi)b); }
CG_INLINE cg_vu cg_select(cg_vu mask, cg_vu a, cg_vu b) { return (a & mask) | (b & ~mask); }
CG_INLINE cg_vd cg_select_d(cg_vl mask, cg_vd a, cg_vd b) {
    return (cg_vd)(((cg_vl)a & mask) | ((cg_vl)b & ~mask));
}

/* a * b + c in one rounding where vectors of the level have it. */
CG_INLINE float cg_multiply_add(float a, float b, float c) {
#if CG_HAS_FMA
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* Sixteen lanes whatever the vector width: sums keep one order, so every level with FMA returns
   the same bits. Named parts stay in registers where an array of them would not. */
#if CG_LANES == 16
typedef struct { cg_vf v0; } cg_v16;
#define CG_PARTS(DO) DO(0)
#elif CG_LANES == 8
typedef struct { cg_vf v0, v1; } cg_v16;
#define CG_PARTS(DO) DO(0) DO(1)
#else
typedef struct { cg_vf v0, v1, v2, v3; } cg_v16;
#define CG_PARTS(DO) DO(0) DO(1) DO(2) DO(3)
#endif

#if defined(CG_GENERIC)
#elif defined(__x86_64__)
#include "inner/simd/x86.h"
#elif defined(__aarch64__)
#include "inner/simd/neon.h"
#endif
#include "inner/simd/generic.h"
#include "inner/simd/sixteen.h"

#endif
