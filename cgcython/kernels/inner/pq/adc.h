/* The screen of codes: sums of 8-bit tables that stay in registers. */
#ifndef CGCYTHON_ADC_H
#define CGCYTHON_ADC_H

#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_SCREEN_ROWS 64        /* rows side by side: one code of each fills a register */
#define CG_SCREEN_BLOCKS 8 /* at once: their sums and a table of four registers stay put */

#define CG_SCREENS CG_HAS_TABLES_OF_256 /* else it costs more than it saves: all pass */

#if CG_SCREENS
/* sums[b] += the entries of one code of each row; blocks begin `stride` bytes apart. */
CG_INLINE void cg_add_entries(const uint8_t *entries, const uint8_t *codes, ptrdiff_t stride,
                              cg_vc sums[CG_SCREEN_BLOCKS]) {
    cg_vc table[4];
    CG_UNROLL for (int i = 0; i < 4; i++)
        table[i] = cg_load_c(entries + i * 64);
    CG_UNROLL for (int b = 0; b < CG_SCREEN_BLOCKS; b++) {
        sums[b] = cg_add_up_to_255(sums[b], cg_table256(table, cg_load_c(codes + b * stride)));
    }
}

/* passed[b] = the rows of block b whose saturated sums of entries are below limit.
   Where there are lengths, one code of each row, they have the table behind the others. */
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, const uint8_t *lengths,
                      ptrdiff_t M, int limit, uint64_t *passed) {
    cg_vc sums[CG_SCREEN_BLOCKS];
    CG_UNROLL for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        sums[b] = cg_set_c(0);
    for (ptrdiff_t m = 0; m < M; m++)
        cg_add_entries(tables + m * 256, blocks + m * CG_SCREEN_ROWS, M * CG_SCREEN_ROWS, sums);
    if (lengths) cg_add_entries(tables + M * 256, lengths, CG_SCREEN_ROWS, sums);
    CG_UNROLL for (int b = 0; b < CG_SCREEN_BLOCKS; b++)
        passed[b] = cg_bytes_below(sums[b], (uint8_t)limit);
}
#else
static void cg_screen(const uint8_t *tables, const uint8_t *blocks, const uint8_t *lengths,
                      ptrdiff_t M, int limit, uint64_t *passed) {
    (void)tables, (void)blocks, (void)lengths, (void)M, (void)limit;
    for (int b = 0; b < CG_SCREEN_BLOCKS; b++) passed[b] = ~(uint64_t)0;
}
#endif

#endif
