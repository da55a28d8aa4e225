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
#define CG_HALVES 32 /* elements that are copied to a row at once */
#define CG_LINE (2 * CG_QUERY_LANES) /* elements of a line of a packed query: a pair per lane */

/* What to fetch while a tile is multiplied, a line at a time: rows of `width` bytes, `stride`
   apart. Fetched all at once they would hold up the loads of the tile itself. */
typedef struct {
    const char *line, *end;
    ptrdiff_t width, stride;
} cg_ahead;

CG_INLINE void cg_fetch_ahead(cg_ahead *ahead, const int lines) { /* 1 or 2 */
    cg_fetch(ahead->line);
    if (lines == 2) cg_fetch(ahead->line + 64);
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

/* Write CG_HALVES elements to a row. */
CG_INLINE void cg_expand(const uint16_t *from, cg_row *row) { cg_store_c(row, cg_load_c(from)); }
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

CG_INLINE void cg_expand(const uint16_t *from, cg_row *row) {
#define CG_DO(i) \
    cg_store(row + i * CG_LANES, cg_odd_halves(cg_load_pairs(from + 2 * i * CG_LANES))); \
    cg_store(row + 16 + i * CG_LANES, cg_even_halves(cg_load_pairs(from + 2 * i * CG_LANES)));
    CG_PARTS(CG_DO)
#undef CG_DO
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
#define CG_DO(i) \
    cg_store(row + i * CG_LANES, cg_load_e4m3(apart + i * CG_LANES)); \
    cg_store(row + 16 + i * CG_LANES, cg_load_e4m3(apart + 16 + i * CG_LANES));
    CG_PARTS(CG_DO)
#undef CG_DO
}
#endif

#endif
