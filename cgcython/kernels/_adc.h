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

/* passed[b] = the rows of block b whose saturated sums of entries are below limit. */
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, ptrdiff_t parts, int limit,
                      uint64_t *passed) {
    __m512i sums[CG_SCREEN_BLOCKS], table[4];
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        sums[b] = _mm512_setzero_si512();
    for (ptrdiff_t m = 0; m < parts; m++) {
        _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
            table[i] = _mm512_loadu_si512(tables + m * 256 + i * 64);
        _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++) {
            const uint8_t *codes = blocks + (b * parts + m) * CG_BLOCK;
            __m512i entries = cg_entries(table, _mm512_loadu_si512(codes));
            sums[b] = _mm512_adds_epu8(sums[b], entries);
        }
    }
    _Pragma("GCC unroll 8") for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        passed[b] = _mm512_cmplt_epu8_mask(sums[b], _mm512_set1_epi8((char)limit));
}
#else
#define CG_SCREENS 0 /* without byte permutations a screen costs more than it saves: all pass */
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, ptrdiff_t parts, int limit,
                      uint64_t *passed) {
    (void)tables, (void)blocks, (void)parts, (void)limit;
    for (int b = 0; b < CG_SCREEN_BLOCKS; b++) passed[b] = ~(uint64_t)0;
}
#endif

#endif
