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

#if defined(__AVX512F__)
#define CG_REGISTER "+v"
#else
#define CG_REGISTER "+x"
#endif
#define CG_UNROLL _Pragma("GCC unroll 16")

/* Set how floats round: to nearest even, with denormals or flushing them. The clobber keeps all that
   is read and written on its side. */
CG_INLINE void cg_set_rounding(unsigned mode) {
    __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory");
}
#define CG_KEEP 0x1F80U
#define CG_FLUSH (CG_KEEP | 0x8040U)

CG_INLINE cg_vu cg_load_pairs(const uint16_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE cg_vf cg_odd(cg_vu pairs) {
#if defined(__AVX512F__)
    return cg_floats(pairs & 0xFFFF0000U);
#else
    pairs >>= 16;
    /* Pinned: a mask would take the one register that a tile leaves. */
    __asm__("" : CG_REGISTER(pairs));
    return cg_floats(pairs << 16);
#endif
}
CG_INLINE cg_vf cg_even(cg_vu pairs) { return cg_floats(pairs << 16); }

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

CG_INLINE void cg_fetch(cg_ahead *ahead, const int lines) {
    for (int i = 0; i < lines; i++) __builtin_prefetch(ahead->line + 64 * i);
    ahead->line += 64 * lines;
    if (ahead->line >= ahead->end) {
        ahead->line += ahead->stride - ahead->width;
        ahead->end += ahead->stride;
    }
}

#if defined(__AVX512BF16__)
typedef uint16_t cg_row;

CG_INLINE void cg_multiply_bf16(const int n, const int two, const cg_row *rows,
                                const uint16_t *query, ptrdiff_t pairs, cg_ahead ahead,
                                cg_vf *a, cg_vf *b) {
    for (ptrdiff_t k = 0; k < pairs; k++, query += CG_LINE) {
        cg_vu left = cg_load_pairs(query), right = cg_load_pairs(query + 2 * CG_LANES);
        __asm__("" : CG_REGISTER(left), CG_REGISTER(right));
        cg_fetch(&ahead, 1);
        CG_UNROLL for (int t = 0; t < n; t++) {
            uint32_t pair;
            memcpy(&pair, rows + t * CG_DEPTH + 2 * k, sizeof pair);
            __m512bh value = (__m512bh)cg_set_u(pair);
            a[t] = (cg_vf)_mm512_dpbf16_ps((__m512)a[t], value, (__m512bh)left);
            if (two) b[t] = (cg_vf)_mm512_dpbf16_ps((__m512)b[t], value, (__m512bh)right);
        }
    }
}

/* Copy `n` elements to a row, and zeros behind them. */
CG_INLINE void cg_expand(const uint16_t *from, ptrdiff_t n, cg_row *row) {
    for (ptrdiff_t k = 0; k < n; k += 32) {
        __mmask32 some = n - k < 32 ? (1U << (n - k)) - 1 : ~0U;
        _mm512_storeu_si512(row + k, _mm512_maskz_loadu_epi16(some, from + k));
    }
}
#else
typedef float cg_row;

CG_INLINE void cg_half_pair(const int n, const int two, const float *column, cg_vf left,
                            cg_vf right, cg_vf *a, cg_vf *b) {
    __asm__("" : CG_REGISTER(left), CG_REGISTER(right));
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
        cg_half_pair(n, two, column, cg_odd(left), cg_odd(right), a, b);
        /* Hidden: kept for their other half, the pairs would take two registers too many. */
        __asm__("" : "+r"(query));
        left = cg_load_pairs(query), right = cg_load_pairs(query + 2 * CG_LANES);
        cg_half_pair(n, two, column + 16, cg_even(left), cg_even(right), a, b);
        cg_fetch(&ahead, 1);
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
            cg_store(row + k + i, cg_odd(cg_load_pairs(block + 2 * i)));
            cg_store(row + k + 16 + i, cg_even(cg_load_pairs(block + 2 * i)));
        }
    }
}
#endif

/* Write up to CG_CODES E4M3 codes as elements of a row, and zeros behind them. */
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
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
    __mmask64 some = n < CG_CODES ? (1ULL << n) - 1 : ~0ULL;
    /* In this order the interleaving of bytes, lane by lane, leaves them in theirs. */
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    __m512i codes = _mm512_permutexvar_epi64(order, _mm512_maskz_loadu_epi8(some, from));
    __m512i low = _mm512_permutex2var_epi8(_mm512_loadu_si512(cg_code_low), codes,
                                           _mm512_loadu_si512(cg_code_low + 64));
    __m512i high = _mm512_permutex2var_epi8(_mm512_loadu_si512(cg_code_high), codes,
                                            _mm512_loadu_si512(cg_code_high + 64));
    const __m512i sign = _mm512_set1_epi8((char)0x80);
    high = _mm512_ternarylogic_epi64(high, codes, sign, 0xF8); /* high | (codes & sign) */
    _mm512_storeu_si512(row, _mm512_unpacklo_epi8(low, high));
    _mm512_storeu_si512(row + 32, _mm512_unpackhi_epi8(low, high));
}
#else
#define CG_CODES 32
CG_INLINE void cg_expand_codes(const uint8_t *from, ptrdiff_t n, cg_row *row) {
    uint8_t last[CG_CODES] = {0};
    if (n < CG_CODES) from = memcpy(last, from, n);
    const __m128i odd_first = _mm_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 14);
    __m128i left = _mm_shuffle_epi8(_mm_loadu_si128((void *)from), odd_first);
    __m128i right = _mm_shuffle_epi8(_mm_loadu_si128((void *)(from + 16)), odd_first);
    uint8_t apart[32];
    _mm_storeu_si128((void *)apart, _mm_unpacklo_epi64(left, right));
    _mm_storeu_si128((void *)(apart + 16), _mm_unpackhi_epi64(left, right));
    for (int i = 0; i < 32; i += CG_LANES) cg_store(row + i, cg_load_e4m3(apart + i));
}
#endif

#endif
