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

#if CG_VECTOR_REGISTERS == 32 && CG_HAS_BYTE_DOTS
#define CG_CODES_TILE 12
#define CG_HALF_CODES_TILE(CALL) case 4: CALL(4); break;
#elif CG_VECTOR_REGISTERS == 32
#define CG_CODES_TILE 8 /* widening takes more registers */
#define CG_HALF_CODES_TILE(CALL) case 4: CALL(4); break;
#else
#define CG_CODES_TILE 4
#define CG_HALF_CODES_TILE(CALL)
#endif

CG_INLINE cg_vi cg_load_pinned(const void *p) { /* else the load is repeated for each token */
    cg_vi v;
    memcpy(&v, p, sizeof v);
    CG_PIN(v);
    return v;
}
CG_INLINE cg_vi cg_four(const uint8_t *p) { /* four bytes of a token for every lane */
    int32_t x;
    memcpy(&x, p, sizeof x);
    return cg_set_i(x);
}

/* Add the dots of n rows to a and, with a second vector of lanes, to b [n]; `small` promises that
   no byte exceeds 30. */
#if CG_HAS_BYTE_DOTS
CG_INLINE void cg_multiply_bytes(const int n, const int small, const int two,
                                 const uint8_t *rows, const int8_t *query, ptrdiff_t groups,
                                 cg_vi *a, cg_vi *b) {
    (void)small;
    for (ptrdiff_t g = 0; g < groups; g++, query += CG_QUERY_LINE) {
        cg_vi left = cg_load_pinned(query), right = cg_load_pinned(query + CG_VECTOR_BYTES);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vi four = cg_four(rows + t * CG_DIMS + 4 * g);
            a[t] = cg_add_byte_dots(a[t], four, left);
            if (two) b[t] = cg_add_byte_dots(b[t], four, right);
        }
    }
}
#else
#define CG_PRODUCTS(a, b) cg_byte_pairs((cg_vc)(a), (cg_vc)(b))

/* Pairs of products fit 16 bits when the bytes are small: two of them do, too. */
CG_INLINE void cg_multiply_small(const int n, const int two, const uint8_t *rows,
                                 const int8_t *query, ptrdiff_t groups, cg_vi *a, cg_vi *b) {
    const cg_vi ones = cg_set_i(0x00010001);
    for (ptrdiff_t g = 0; g < groups; g += 2, query += 2 * CG_QUERY_LINE) {
        cg_vi l0 = cg_load_pinned(query), r0 = cg_load_pinned(query + CG_VECTOR_BYTES);
        cg_vi l1 = cg_load_pinned(query + CG_QUERY_LINE);
        cg_vi r1 = cg_load_pinned(query + CG_QUERY_LINE + CG_VECTOR_BYTES);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vi d0 = cg_four(rows + t * CG_DIMS + 4 * g);
            cg_vi d1 = cg_four(rows + t * CG_DIMS + 4 * g + 4);
            cg_vi left = (cg_vi)(CG_PRODUCTS(d0, l0) + CG_PRODUCTS(d1, l1));
            cg_vi right = (cg_vi)(CG_PRODUCTS(d0, r0) + CG_PRODUCTS(d1, r1));
            a[t] += cg_add_products(cg_set_i(0), left, ones);
            if (two) b[t] += cg_add_products(cg_set_i(0), right, ones);
        }
    }
}

CG_INLINE cg_vi cg_even_bytes(cg_vi v) { return (cg_vi)((cg_vs)((cg_vw)v << 8) >> 8); }
CG_INLINE cg_vi cg_odd_bytes(cg_vi v) { return (cg_vi)((cg_vs)v >> 8); }

/* Larger ones are widened first: even and odd dimensions as 16-bit numbers. */
CG_INLINE void cg_multiply_large(const int n, const int two, const uint8_t *rows,
                                 const int8_t *query, ptrdiff_t groups, cg_vi *a, cg_vi *b) {
    for (ptrdiff_t g = 0; g < groups; g++, query += CG_QUERY_LINE) {
        cg_vi left = cg_load_pinned(query), right = cg_load_pinned(query + CG_VECTOR_BYTES);
        cg_vi le = cg_even_bytes(left), lo = cg_odd_bytes(left);
        cg_vi re = cg_even_bytes(right), ro = cg_odd_bytes(right);
        CG_UNROLL for (int t = 0; t < n; t++) {
            cg_vi four = cg_four(rows + t * CG_DIMS + 4 * g);
            cg_vi even = four & 0x00FF00FF, odd = (cg_vi)((cg_vw)four >> 8);
            a[t] += cg_add_products(cg_add_products(cg_set_i(0), even, le), odd, lo);
            if (two) b[t] += cg_add_products(cg_add_products(cg_set_i(0), even, re), odd, ro);
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
    CG_UNROLL for (int t = 0; t < n; t++) a[t] = b[t] = (cg_vi){0};
    cg_multiply_bytes(n, small, two, rows, query, groups, a, b);
    if (second) {
        CG_UNROLL for (int t = 0; t < n; t++) {
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
        CG_UNROLL for (int t = 0; t < n; t++) {
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
        CG_UNROLL for (int t = 0; t < n; t++) {
            const int32_t *old = before + t * step + lane;
            cg_vi x = a[t] + cg_load_i(old), y = x;
            if (two) y = b[t] + cg_load_i(old + CG_LANES);
            left = cg_max(cg_convert(x, cg_vf) * norms[t], left);
            if (two) right = cg_max(cg_convert(y, cg_vf) * norms[t], right);
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
CG_INLINE void cg_widen8(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS; i += CG_VECTOR_BYTES) {
        cg_store_c(row + i, cg_load_c(codes + i) ^ 0x80);
    }
}
CG_INLINE void cg_widen4(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS / 2; i += CG_VECTOR_BYTES / 2) {
        cg_half_bytes bytes;
        memcpy(&bytes, codes + i, sizeof bytes);
        cg_vw v = cg_convert(bytes, cg_vw);
        v = (v << 1 | v << 5) & 0x1E1E;
        memcpy(row + 2 * i, &v, sizeof v);
    }
}
CG_INLINE void cg_widen2(const uint8_t *codes, uint8_t *row) {
    for (int i = 0; i < CG_DIMS / 4; i += CG_LANES) {
        cg_vu v = cg_load_bytes(codes + i) << 1;
        v |= v << 12;
        v = (v | v << 6) & 0x06060606;
        memcpy(row + 4 * i, &v, sizeof v);
    }
}
CG_INLINE void cg_widen1(const uint8_t *codes, uint8_t *row) {
    const cg_vc bit = (cg_vc)(0x0102040810204080U - (cg_vq){0});
    for (int i = 0; i < CG_DIMS / 8; i += CG_VECTOR_BYTES / 8) {
        cg_vc spread = (cg_vc)cg_spread8(codes + i);
        cg_store_c(row + 8 * i, (cg_vc)((spread & bit) == bit) & 2);
    }
}

#endif
