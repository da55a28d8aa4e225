/* The inner tile of MaxSim on small integers: a few document tokens times 32 query lanes.

   Tokens are decoded to unsigned bytes, a tile of rows CG_DIMS apart; the query is signed bytes,
   lines of four dimensions x 32 lanes. What the unsigned bytes add to each dot is the same for all
   tokens and leaves with the lane's bias. All sums are exact, so every level returns the same. */
#ifndef CGCYTHON_INTEGERS_H
#define CGCYTHON_INTEGERS_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_INTEGER_LANES 32
#define CG_DIMS 128
#define CG_QUERY_LINE (4 * CG_INTEGER_LANES)

#if defined(__AVX512VNNI__)
#define CG_CODES_TILE 12
#define CG_HALF_CODES_TILE(CALL) case 4: CALL(4); break;
#elif defined(__AVX512F__)
#define CG_CODES_TILE 8 /* widening takes more registers */
#define CG_HALF_CODES_TILE(CALL) case 4: CALL(4); break;
#else
#define CG_CODES_TILE 4
#define CG_HALF_CODES_TILE(CALL)
#endif

#if defined(__AVX512F__)
#define CG_MM(op) _mm512_##op
#define CG_SET64 _mm512_set1_epi64
#define CG_INTEGER_REGISTER "+v"
typedef __m512i cg_m;
#elif defined(__AVX2__)
#define CG_MM(op) _mm256_##op
#define CG_SET64 _mm256_set1_epi64x
#define CG_INTEGER_REGISTER "+x"
typedef __m256i cg_m;
#else
#define CG_MM(op) _mm_##op
#define CG_SET64 _mm_set1_epi64x
#define CG_INTEGER_REGISTER "+x"
typedef __m128i cg_m;
#endif

#define CG_UNROLLED _Pragma("GCC unroll 16")

CG_INLINE cg_vi cg_load_i(const int32_t *p) { cg_vi v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_i(int32_t *p, cg_vi v) { memcpy(p, &v, sizeof v); }
CG_INLINE cg_m cg_load_m(const void *p) {
    cg_m v;
    memcpy(&v, p, sizeof v);
    __asm__("" : CG_INTEGER_REGISTER(v)); /* else the load is repeated for each token */
    return v;
}
CG_INLINE cg_m cg_four(const uint8_t *p) { /* four bytes of a token for every lane */
    int32_t x;
    memcpy(&x, p, sizeof x);
    return CG_MM(set1_epi32)(x);
}

/* Add the dots of n rows to a and, with a second vector of lanes, to b [n]; `small` promises that
   no byte exceeds 30. */
#if defined(__AVX512VNNI__)
CG_INLINE void cg_multiply_bytes(const int n, const int small, const int two,
                                 const uint8_t *rows, const int8_t *query, ptrdiff_t groups,
                                 cg_vi *a, cg_vi *b) {
    (void)small;
    for (ptrdiff_t g = 0; g < groups; g++, query += CG_QUERY_LINE) {
        cg_m left = cg_load_m(query), right = cg_load_m(query + CG_VECTOR_BYTES);
        CG_UNROLLED for (int t = 0; t < n; t++) {
            cg_m four = cg_four(rows + t * CG_DIMS + 4 * g);
            a[t] = (cg_vi)_mm512_dpbusd_epi32((cg_m)a[t], four, left);
            if (two) b[t] = (cg_vi)_mm512_dpbusd_epi32((cg_m)b[t], four, right);
        }
    }
}
#else
#define CG_PRODUCTS(a, b) CG_MM(maddubs_epi16)(a, b)

/* Pairs of products fit 16 bits when the bytes are small: two of them do, too. */
CG_INLINE void cg_multiply_small(const int n, const int two, const uint8_t *rows,
                                 const int8_t *query, ptrdiff_t groups, cg_vi *a, cg_vi *b) {
    const cg_m ones = CG_MM(set1_epi16)(1);
    for (ptrdiff_t g = 0; g < groups; g += 2, query += 2 * CG_QUERY_LINE) {
        cg_m l0 = cg_load_m(query), r0 = cg_load_m(query + CG_VECTOR_BYTES);
        cg_m l1 = cg_load_m(query + CG_QUERY_LINE);
        cg_m r1 = cg_load_m(query + CG_QUERY_LINE + CG_VECTOR_BYTES);
        CG_UNROLLED for (int t = 0; t < n; t++) {
            cg_m d0 = cg_four(rows + t * CG_DIMS + 4 * g);
            cg_m d1 = cg_four(rows + t * CG_DIMS + 4 * g + 4);
            cg_m left = CG_MM(add_epi16)(CG_PRODUCTS(d0, l0), CG_PRODUCTS(d1, l1));
            cg_m right = CG_MM(add_epi16)(CG_PRODUCTS(d0, r0), CG_PRODUCTS(d1, r1));
            a[t] += (cg_vi)CG_MM(madd_epi16)(left, ones);
            if (two) b[t] += (cg_vi)CG_MM(madd_epi16)(right, ones);
        }
    }
}

CG_INLINE cg_m cg_even_bytes(cg_m v) { return CG_MM(srai_epi16)(CG_MM(slli_epi16)(v, 8), 8); }
CG_INLINE cg_m cg_odd_bytes(cg_m v) { return CG_MM(srai_epi16)(v, 8); }

/* Larger ones are widened first: even and odd dimensions as 16-bit numbers. */
CG_INLINE void cg_multiply_large(const int n, const int two, const uint8_t *rows,
                                 const int8_t *query, ptrdiff_t groups, cg_vi *a, cg_vi *b) {
    const cg_m low = CG_MM(set1_epi16)(255);
    for (ptrdiff_t g = 0; g < groups; g++, query += CG_QUERY_LINE) {
        cg_m left = cg_load_m(query), right = cg_load_m(query + CG_VECTOR_BYTES);
        cg_m le = cg_even_bytes(left), lo = cg_odd_bytes(left);
        cg_m re = cg_even_bytes(right), ro = cg_odd_bytes(right);
        CG_UNROLLED for (int t = 0; t < n; t++) {
            cg_m four = cg_four(rows + t * CG_DIMS + 4 * g);
            cg_m even = (cg_m)((cg_vi)four & (cg_vi)low), odd = CG_MM(srli_epi16)(four, 8);
            a[t] += (cg_vi)CG_MM(madd_epi16)(even, le) + (cg_vi)CG_MM(madd_epi16)(odd, lo);
            if (two) b[t] += (cg_vi)CG_MM(madd_epi16)(even, re) + (cg_vi)CG_MM(madd_epi16)(odd, ro);
        }
    }
}

CG_INLINE void cg_multiply_bytes(const int n, const int small, const int two,
                                 const uint8_t *rows, const int8_t *query, ptrdiff_t groups,
                                 cg_vi *a, cg_vi *b) {
    if (small) cg_multiply_small(n, two, rows, query, groups, a, b);
    else cg_multiply_large(n, two, rows, query, groups, a, b);
}
#endif

/* A block of a query: `groups` lines for the high bytes and, `second` bytes on unless that is 0,
   for the low bytes of 16-bit numbers. */
CG_INLINE void cg_integer_dots(const int n, const int small, const int two, const uint8_t *rows,
                               const int8_t *query, ptrdiff_t groups, ptrdiff_t second, cg_vi *a,
                               cg_vi *b) {
    CG_UNROLLED for (int t = 0; t < n; t++) a[t] = b[t] = (cg_vi){0};
    cg_multiply_bytes(n, small, two, rows, query, groups, a, b);
    if (second) {
        CG_UNROLLED for (int t = 0; t < n; t++) {
            a[t] *= 256;
            b[t] *= 256;
        }
        cg_multiply_bytes(n, small, two, rows, query + second, groups, a, b);
    }
}

/* sums [n][32] = dots + before [n][32], or before [32] for all rows where `step` is 0. */
CG_INLINE void cg_add_any_bytes(const int n, const int small, const int two, int lanes,
                                 const uint8_t *rows,
                                const int8_t *query, ptrdiff_t groups, ptrdiff_t second,
                                const int32_t *before, ptrdiff_t step, int32_t *sums) {
    for (int lane = 0; lane < lanes; lane += 2 * CG_LANES) {
        cg_vi a[CG_CODES_TILE], b[CG_CODES_TILE];
        cg_integer_dots(n, small, two, rows, query + 4 * lane, groups, second, a, b);
        CG_UNROLLED for (int t = 0; t < n; t++) {
            const int32_t *old = before + t * step + lane;
            cg_store_i(sums + t * CG_INTEGER_LANES + lane, a[t] + cg_load_i(old));
            if (two)
                cg_store_i(sums + t * CG_INTEGER_LANES + lane + CG_LANES,
                           b[t] + cg_load_i(old + CG_LANES));
        }
    }
}

/* The same sums times the norms raise best [32]. */
CG_INLINE void cg_finish_any_bytes(const int n, const int small, const int two, int lanes,
                                 const uint8_t *rows,
                                   const int8_t *query, ptrdiff_t groups, ptrdiff_t second,
                                   const int32_t *before, ptrdiff_t step, const float *norms,
                                   float *best) {
    for (int lane = 0; lane < lanes; lane += 2 * CG_LANES) {
        cg_vi a[CG_CODES_TILE], b[CG_CODES_TILE];
        cg_integer_dots(n, small, two, rows, query + 4 * lane, groups, second, a, b);
        cg_vf left = cg_load(best + lane), right = cg_load(best + lane + CG_LANES);
        CG_UNROLLED for (int t = 0; t < n; t++) {
            const int32_t *old = before + t * step + lane;
            cg_vi x = a[t] + cg_load_i(old), y = x;
            if (two) y = b[t] + cg_load_i(old + CG_LANES);
            left = cg_max(__builtin_convertvector(x, cg_vf) * norms[t], left);
            if (two) right = cg_max(__builtin_convertvector(y, cg_vf) * norms[t], right);
        }
        cg_store(best + lane, left);
        if (two) cg_store(best + lane + CG_LANES, right);
    }
}

#define CG_FOR_CODES_HEIGHT(n, CALL)                        \
    switch (n) {                                            \
    case CG_CODES_TILE: CALL(CG_CODES_TILE); break;         \
    CG_HALF_CODES_TILE(CALL)                                \
    default: CALL(1);                                       \
    }

CG_INLINE ptrdiff_t cg_codes_height(ptrdiff_t left, ptrdiff_t count) {
    /* As cg_tile_height: the smallest tile that holds all that is left, or the largest that fits;
       a tile may reach back over tokens done before. */
    static const ptrdiff_t heights[] = {1, 4, CG_CODES_TILE};
    for (int i = 0; i < 3; i++)
        if (heights[i] >= left && heights[i] <= count) return heights[i];
    for (int i = 2; i; i--)
        if (heights[i] <= left) return heights[i];
    return 1;
}

/* One vector of lanes where it holds all query tokens, else pairs of vectors. */
#define CG_BY_KIND(DO, N, small, lanes, ...)                                   \
    if (CG_LANES == 16 && (lanes) <= 16) {                                     \
        if (small) DO(N, 1, 0, lanes, __VA_ARGS__);                            \
        else DO(N, 0, 0, lanes, __VA_ARGS__);                                  \
    } else if (small) DO(N, 1, 1, lanes, __VA_ARGS__);                         \
    else DO(N, 0, 1, lanes, __VA_ARGS__)

static void cg_add_bytes(ptrdiff_t n, int small, int lanes, const uint8_t *rows,
                         const int8_t *query, ptrdiff_t groups, ptrdiff_t second,
                         const int32_t *before, ptrdiff_t step, int32_t *sums) {
#define CG_CALL(N) \
    CG_BY_KIND(cg_add_any_bytes, N, small, lanes, rows, query, groups, second, before, step, sums)
    CG_FOR_CODES_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

static void cg_finish_bytes(ptrdiff_t n, int small, int lanes, const uint8_t *rows,
                            const int8_t *query, ptrdiff_t groups, ptrdiff_t second,
                            const int32_t *before, ptrdiff_t step, const float *norms,
                            float *best) {
#define CG_CALL(N)                                                                         \
    CG_BY_KIND(cg_finish_any_bytes, N, small, lanes, rows, query, groups, second, before,  \
               step, norms, best)
    CG_FOR_CODES_HEIGHT(n, CG_CALL)
#undef CG_CALL
}

/* 128 dimensions as unsigned bytes: a level of 2c - 15 becomes 2c, and so on. */
typedef uint16_t cg_vh __attribute__((vector_size(CG_VECTOR_BYTES)));
typedef uint8_t cg_vhb __attribute__((vector_size(CG_VECTOR_BYTES / 2)));
typedef uint8_t cg_vbytes __attribute__((vector_size(CG_VECTOR_BYTES)));

CG_INLINE void cg_widen8(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS; i += CG_VECTOR_BYTES) {
        cg_vbytes v;
        memcpy(&v, codes + i, sizeof v);
        v ^= 0x80;
        memcpy(row + i, &v, sizeof v);
    }
}
CG_INLINE void cg_widen4(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS / 2; i += CG_VECTOR_BYTES / 2) {
        cg_vhb bytes;
        memcpy(&bytes, codes + i, sizeof bytes);
        cg_vh v = __builtin_convertvector(bytes, cg_vh);
        v = (v << 1 | v << 5) & 0x1E1E;
        memcpy(row + 2 * i, &v, sizeof v);
    }
}
CG_INLINE void cg_widen2(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS / 4; i += CG_LANES) {
        __m128i bytes = _mm_setzero_si128();
        memcpy(&bytes, codes + i, CG_LANES);
        cg_vu v = (cg_vu)CG_MM(cvtepu8_epi32)(bytes) << 1; /* convertvector takes three steps */
        v |= v << 12;
        v = (v | v << 6) & 0x06060606;
        memcpy(row + 4 * i, &v, sizeof v);
    }
}
CG_INLINE void cg_widen1(const uint8_t *codes, uint8_t *row) {
    static const uint8_t from[64] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,
                                     2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3,
                                     4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5,
                                     6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7};
    const cg_vbytes bit = (cg_vbytes)CG_SET64(0x0102040810204080);
    for (int i = 0; i < CG_DIMS / 8; i += CG_VECTOR_BYTES / 8) {
        int64_t few = 0;
        memcpy(&few, codes + i, CG_VECTOR_BYTES / 8);
        cg_m spread = CG_MM(shuffle_epi8)(CG_SET64(few), cg_load_m(from));
        cg_vbytes v = (cg_vbytes)(((cg_vbytes)spread & bit) == bit) & 2;
        memcpy(row + 8 * i, &v, sizeof v);
    }
}

#endif
