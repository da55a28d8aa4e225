/* The screen of codes: sums of 8-bit tables that stay in registers. */
#ifndef CGCYTHON_ADC_H
#define CGCYTHON_ADC_H

#include <stddef.h>

#include "_vector.h"

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
/* passed[b] = the rows of block b whose saturated sums of entries are below limit. */
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, ptrdiff_t M, int limit,
                      uint64_t *passed) {
    __m512i sums[CG_SCREEN_BLOCKS], table[4];
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        sums[b] = _mm512_setzero_si512();
    for (ptrdiff_t m = 0; m < M; m++) {
        _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
            table[i] = _mm512_loadu_si512(tables + m * 256 + i * 64);
        _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++) {
            const uint8_t *codes = blocks + (b * M + m) * CG_BLOCK;
            __m512i entries = cg_entries(table, _mm512_loadu_si512(codes));
            sums[b] = _mm512_adds_epu8(sums[b], entries);
        }
    }
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        passed[b] = _mm512_cmplt_epu8_mask(sums[b], _mm512_set1_epi8((char)limit));
}
#else
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, ptrdiff_t M, int limit,
                      uint64_t *passed) {
    (void)tables, (void)blocks, (void)M, (void)limit;
    for (int b = 0; b < CG_SCREEN_BLOCKS; b++) passed[b] = ~(uint64_t)0;
}
#endif

#endif
