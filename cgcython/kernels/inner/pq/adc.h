/* The screen of codes: sums of 8-bit tables that stay in registers. */
#ifndef CGCYTHON_ADC_H
#define CGCYTHON_ADC_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_BLOCK 64        /* rows side by side: one code of each fills a register */
#define CG_SCREEN_BLOCKS 8 /* at once: their sums and a table of four registers stay put */

#if defined(__AVX512VBMI__)
#define CG_SCREENS 1

/* Entries of a table of 256 bytes: the top bit of a code chooses the half. */
CG_INLINE __m512i cg_entries(const __m512i table[4], __m512i codes) {
    __m512i low = _mm512_permutex2var_epi8(table[0], codes, table[1]);
    __m512i high = _mm512_permutex2var_epi8(table[2], codes, table[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(codes), low, high);
}
#elif defined(__AVX512BW__)
#define CG_SCREENS 1

/* The pairs of entries that hold those of 32 codes, each code in the byte below `top`. */
CG_INLINE __m512i cg_pairs_of(const __m512i table[4], __m512i pairs, __m512i codes, int top) {
    __m512i low = _mm512_permutex2var_epi16(table[0], pairs, table[1]);
    __m512i high = _mm512_permutex2var_epi16(table[2], pairs, table[3]);
    __mmask32 upper = _mm512_test_epi16_mask(codes, _mm512_set1_epi16((short)(top >> 1)));
    return _mm512_mask_blend_epi16(upper, low, high);
}

/* Only words permute: even and odd codes look up pairs of entries, whose last bit chooses one. */
CG_INLINE __m512i cg_entries(const __m512i table[4], __m512i codes) {
    const __m512i eight = _mm512_set1_epi16(8);
    __m512i even = cg_pairs_of(table, _mm512_srli_epi16(codes, 1), codes, 0x100);
    __m512i odd = cg_pairs_of(table, _mm512_srli_epi16(codes, 9), codes, 0x10000);
    __m512i down = _mm512_and_si512(_mm512_slli_epi16(codes, 3), eight);
    __m512i up = _mm512_andnot_si512(_mm512_srli_epi16(codes, 5), eight);
    even = _mm512_srlv_epi16(even, down);
    odd = _mm512_sllv_epi16(odd, up);
    return _mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAA, even, odd);
}
#else
#define CG_SCREENS 0 /* without wide permutations a screen costs more than it saves: all pass */
#endif

#if CG_SCREENS
/* sums[b] += the entries of one code of each row; blocks begin `stride` bytes apart. */
CG_INLINE void cg_add_entries(const uint8_t *entries, const uint8_t *codes, ptrdiff_t stride,
                              __m512i sums[CG_SCREEN_BLOCKS]) {
    __m512i table[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
        table[i] = _mm512_loadu_si512(entries + i * 64);
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++) {
        __m512i found = cg_entries(table, _mm512_loadu_si512(codes + b * stride));
        sums[b] = _mm512_adds_epu8(sums[b], found);
    }
}

/* passed[b] = the rows of block b whose saturated sums of entries are below limit.
   Where there are lengths, one code of each row, they have the table behind the others. */
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, const uint8_t *lengths,
                      ptrdiff_t M, int limit, uint64_t *passed) {
    __m512i sums[CG_SCREEN_BLOCKS];
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        sums[b] = _mm512_setzero_si512();
    for (ptrdiff_t m = 0; m < M; m++)
        cg_add_entries(tables + m * 256, blocks + m * CG_BLOCK, M * CG_BLOCK, sums);
    if (lengths) cg_add_entries(tables + M * 256, lengths, CG_BLOCK, sums);
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        passed[b] = _mm512_cmplt_epu8_mask(sums[b], _mm512_set1_epi8((char)limit));
}
#else
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, const uint8_t *lengths,
                      ptrdiff_t M, int limit, uint64_t *passed) {
    (void)tables, (void)blocks, (void)lengths, (void)M, (void)limit;
    for (int b = 0; b < CG_SCREEN_BLOCKS; b++) passed[b] = ~(uint64_t)0;
}
#endif

#endif
