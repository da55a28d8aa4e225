/* bfloat16 in pairs: what the dot product of AVX-512-BF16 computes, on every level.

   The instruction multiplies and adds the odd element of a pair, then the even one, rounds to
   nearest even both times and takes and leaves no denormals. Two multiply-adds in that order, under
   CG_FLUSH, return the same bits. With the instruction a tile's rows are bfloat16 as they lie;
   without it they are floats, sixteen odd elements before the sixteen even ones. */
#ifndef CGCYTHON_MAXSIM_BF16_H
#define CGCYTHON_MAXSIM_BF16_H

#include <stddef.h>

#include "inner/e4m3/codes.h"
#include "inner/simd/vector.h"

#define CG_QUERY_LANES 32
#define CG_DEPTH 128 /* dimensions a tile handles at once, and the elements between its rows */
#define CG_LINE (2 * CG_QUERY_LANES) /* elements of a line of a packed query: a pair per lane */

CG_INLINE cg_vu cg_load_pairs(const uint16_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
/* The bfloat16 nearest to each number, in the upper half of its lane. */
CG_INLINE cg_vu cg_round_bf16(cg_vf v) {
    cg_vu bits = cg_bits(v), size = bits & 0x7FFFFFFF;
    bits += 0x7FFF + (bits >> 16 & 1);
    return bits & ~cg_below(size, cg_set_u(0x00800000)) & 0xFFFF0000U;
}

/* bfloat16 to floats and, ties to even, back; a NaN stays one. */
CG_INLINE float cg_wide(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16; float x; memcpy(&x, &bits, sizeof x); return x;
}
CG_INLINE uint16_t cg_half(float x) {
    uint32_t bits; memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    return ((bits & 0x7FFFFFFF) > 0x7F800000 ? bits | 0x400000 : rounded) >> 16;
}

/* Write lines k and k + 1 of a query's numbers as one line of pairs; without `odd`, of one. */
CG_INLINE void cg_pair_lines(const float *even, const float *odd, uint16_t *pairs) {
    for (int lane = 0; lane < CG_QUERY_LANES; lane += CG_LANES) {
        cg_vu pair = cg_round_bf16(cg_load(even + lane)) >> 16;
        if (odd) pair |= cg_round_bf16(cg_load(odd + lane));
        memcpy(pairs + 2 * lane, &pair, sizeof pair);
    }
}

/* What to fetch while a tile is multiplied, a line at a time: rows of `width` bytes, `stride`
   apart. Fetched all at once they would hold up the loads of the tile itself. */
typedef struct {
    const char *line, *end;
    ptrdiff_t width, stride;
} cg_ahead;

CG_INLINE void cg_fetch_ahead(cg_ahead *ahead, const int lines) {
    for (int i = 0; i < lines; i++) cg_fetch(ahead->line + 64 * i);
    ahead->line += 64 * lines;
    if (ahead->line >= ahead->end) {
        ahead->line += ahead->stride - ahead->width;
        ahead->end += ahead->stride;
    }
}

#if CG_HAS_HALF_DOTS
typedef uint16_t cg_row;

CG_INLINE void cg_multiply_bf16(const int n, const int two, const cg_row *rows,
                                const uint16_t *query, ptrdiff_t pairs, cg_ahead ahead,
                                cg_vf *a, cg_vf *b) {
    for (ptrdiff_t k = 0; k < pairs; k++, query += CG_LINE) {
        cg_vu left = cg_load_pairs(query), right = cg_load_pairs(query + 2 * CG_LANES);
        CG_PIN(left);
    CG_PIN(right);
        cg_fetch_ahead(&ahead, 1);
        CG_UNROLL for (int t = 0; t < n; t++) {
            uint32_t pair;
            memcpy(&pair, rows + t * CG_DEPTH + 2 * k, sizeof pair);
            cg_vu value = cg_set_u(pair);
            a[t] = cg_half_dots(a[t], value, left);
            if (two) b[t] = cg_half_dots(b[t], value, right);
        }
    }
}

/* Copy `n` elements to a row, and zeros behind them. */
CG_INLINE void cg_expand(const uint16_t *from, ptrdiff_t n, cg_row *row) {
    for (ptrdiff_t k = 0; k < n; k += 32) cg_store_c(row + k, cg_load_part_c(from + k, 2 * (n - k)));
}
#else
typedef float cg_row;

CG_INLINE void cg_half_pair(const int n, const int two, const float *column, cg_vf left,
                            cg_vf right, cg_vf *a, cg_vf *b) {
    CG_PIN(left);
    CG_PIN(right);
    CG_UNROLL for (int t = 0; t < n; t++) {
        cg_vf value = cg_set(column[t * CG_DEPTH]);
        a[t] += value * left;
        if (two) b[t] += value * right;
    }
}

CG_INLINE void cg_multiply_bf16(const int n, const int two, const cg_row *rows,
                                const uint16_t *query, ptrdiff_t pairs, cg_ahead ahead,
                                cg_vf *a, cg_vf *b) {
    for (ptrdiff_t k = 0; k < pairs; k++, query += CG_LINE) {
        const float *column = rows + k + (k & -16);
        cg_vu left = cg_load_pairs(query), right = cg_load_pairs(query + 2 * CG_LANES);
        cg_half_pair(n, two, column, cg_odd_halves(left), cg_odd_halves(right), a, b);
        /* Hidden: kept for their other half, the pairs would take two registers too many. */
        CG_HIDE(query);
        left = cg_load_pairs(query), right = cg_load_pairs(query + 2 * CG_LANES);
        cg_half_pair(n, two, column + 16, cg_even_halves(left), cg_even_halves(right), a, b);
        cg_fetch_ahead(&ahead, 1);
    }
}

CG_INLINE void cg_expand(const uint16_t *from, ptrdiff_t n, cg_row *row) {
    uint16_t last[32];
    for (ptrdiff_t k = 0; k < n; k += 32) {
        const uint16_t *block = from + k;
        if (n - k < 32) {
            memset(last, 0, sizeof last);
            block = memcpy(last, block, (n - k) * sizeof *block);
        }
        for (int i = 0; i < 16; i += CG_LANES) {
            cg_store(row + k + i, cg_odd_halves(cg_load_pairs(block + 2 * i)));
            cg_store(row + k + 16 + i, cg_even_halves(cg_load_pairs(block + 2 * i)));
        }
    }
}
#endif

/* Write up to CG_CODES E4M3 codes as elements of a row, and zeros behind them. */
#if CG_HAS_HALF_DOTS && CG_HAS_WIDE_TABLES
#define CG_CODES 64
/* Bytes of the bfloat16 of codes 0 to 127; subnormals are m * 2**-9, 0x7F is NaN. */
#define CG_TINY(at) at(0x0000), at(0x3B00), at(0x3B80), at(0x3BC0), at(0x3C00), at(0x3C20), \
                    at(0x3C40), at(0x3C60)
#define CG_OCTAVE(at, e) at(e), at(e + 0x10), at(e + 0x20), at(e + 0x30), at(e + 0x40), \
                         at(e + 0x50), at(e + 0x60), at(e + 0x70)
#define CG_CODE_BYTES(at) {                                                                      \
    CG_TINY(at), CG_OCTAVE(at, 0x3C80), CG_OCTAVE(at, 0x3D00), CG_OCTAVE(at, 0x3D80),            \
    CG_OCTAVE(at, 0x3E00), CG_OCTAVE(at, 0x3E80), CG_OCTAVE(at, 0x3F00), CG_OCTAVE(at, 0x3F80),  \
    CG_OCTAVE(at, 0x4000), CG_OCTAVE(at, 0x4080), CG_OCTAVE(at, 0x4100), CG_OCTAVE(at, 0x4180),  \
    CG_OCTAVE(at, 0x4200), CG_OCTAVE(at, 0x4280), CG_OCTAVE(at, 0x4300), at(0x4380), at(0x4390), \
    at(0x43A0), at(0x43B0), at(0x43C0), at(0x43D0), at(0x43E0), at(0x7FC0)}
#define CG_LOW(bits) ((bits) & 0xFF)
#define CG_HIGH(bits) ((bits) >> 8)
static const uint8_t cg_code_low[128] = CG_CODE_BYTES(CG_LOW);
static const uint8_t cg_code_high[128] = CG_CODE_BYTES(CG_HIGH);

CG_INLINE void cg_expand_codes(const uint8_t *from, ptrdiff_t n, cg_row *row) {
    cg_vc codes = cg_before_join(cg_load_part_c(from, n));
    cg_vc low = cg_table128(cg_code_low, codes);
    cg_vc high = cg_table128(cg_code_high, codes) | (codes & 0x80);
    cg_store_c(row, cg_join_low(low, high));
    cg_store_c(row + 32, cg_join_high(low, high));
}
#else
#define CG_CODES 32
CG_INLINE void cg_expand_codes(const uint8_t *from, ptrdiff_t n, cg_row *row) {
    uint8_t last[CG_CODES] = {0};
    if (n < CG_CODES) from = memcpy(last, from, n);
    cg_b16 left = cg_odd_first(from), right = cg_odd_first(from + 16);
    uint8_t apart[32];
    memcpy(apart, &left, 8);
    memcpy(apart + 8, &right, 8);
    memcpy(apart + 16, (const uint8_t *)&left + 8, 8);
    memcpy(apart + 24, (const uint8_t *)&right + 8, 8);
    for (int i = 0; i < 32; i += CG_LANES) cg_store(row + i, cg_load_e4m3(apart + i));
}
#endif

#endif
