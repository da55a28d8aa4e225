/* Dot products of rows of packed codes with whole numbers, two codes a multiply-add.

   A row is read in words of 16 bits, each of which holds a few codes, the first in the lowest bits.
   The query lies in blocks of 64 bytes of codes: for each place of a code within a word, what meets
   that code of the 32 words. No sum leaves 32 bits, so every level returns the same. */
#ifndef CGCYTHON_SCALARS_H
#define CGCYTHON_SCALARS_H

#include <stddef.h>

#include "inner/integers/widths.h"

#define CG_CODE_BLOCK 64 /* bytes of a row that meet a block of the query */
#define CG_WORDS (CG_CODE_BLOCK / 2)
#define CG_CODE_ROWS 4 /* that share the reading of a query */
#define CG_CODES_AHEAD 8192 /* bytes: codes are fetched so far ahead, also behind the last row */

/* Add what one block of n rows, `stride` bytes apart, has in common with the query. */
CG_INLINE void cg_add_block(const int n, const int bits, const uint8_t *rows, ptrdiff_t stride,
                            const int16_t *query, cg_vi *sums) {
    const int places = 16 / bits;
    CG_UNROLL for (int at = 0; at < CG_CODE_BLOCK; at += CG_VECTOR_BYTES) {
        cg_vw words[CG_CODE_ROWS];
        CG_UNROLL for (int t = 0; t < n; t++)
            memcpy(&words[t], rows + t * stride + at, sizeof words[t]);
        CG_UNROLL for (int place = 0; place < places; place++) {
            cg_vi numbers;
            memcpy(&numbers, query + place * CG_WORDS + at / 2, sizeof numbers);
            CG_UNROLL for (int t = 0; t < n; t++) {
                cg_vw codes = words[t] >> bits * place;
                if (place < places - 1) codes &= (uint16_t)((1 << bits) - 1);
                sums[t] = cg_add_products(sums[t], (cg_vi)codes, numbers);
            }
        }
    }
}

/* Write the dots of n rows of `bytes` bytes each; `readable` says that what follows the last row
   may be read up to a whole block: it meets zeros. */
CG_INLINE void cg_some_dots(const int n, const int bits, const uint8_t *rows, ptrdiff_t stride,
                            ptrdiff_t bytes, int readable, const int16_t *query, int32_t *dots) {
    const ptrdiff_t numbers = CG_WORDS * (16 / bits);
    cg_vi sums[CG_CODE_ROWS] = {{0}};
    for (; bytes >= CG_CODE_BLOCK; bytes -= CG_CODE_BLOCK) {
        cg_add_block(n, bits, rows, stride, query, sums);
        rows += CG_CODE_BLOCK;
        query += numbers;
    }
    if (bytes && readable) {
        cg_add_block(n, bits, rows, stride, query, sums);
    } else if (bytes) {
        uint8_t last[CG_CODE_ROWS * CG_CODE_BLOCK] = {0};
        for (int t = 0; t < n; t++) memcpy(last + t * CG_CODE_BLOCK, rows + t * stride, bytes);
        cg_add_block(n, bits, last, CG_CODE_BLOCK, query, sums);
    }
    CG_UNROLL for (int t = 0; t < n; t++) dots[t] = cg_sum_i(sums[t]);
}

/* Ask for what is so many bytes ahead of rows that are read now. */
CG_INLINE void cg_fetch_codes(const uint8_t *rows, ptrdiff_t bytes) {
    for (ptrdiff_t at = 0; at < bytes; at += 64)
        cg_fetch_second(rows + CG_CODES_AHEAD + at);
}

/* The same for 1 to CG_CODE_ROWS rows of any number of bits. */
static void cg_code_dots(int n, int bits, const uint8_t *rows, ptrdiff_t stride, ptrdiff_t bytes,
                         int readable, const int16_t *query, int32_t *dots) {
#define CG_CALL(BITS) \
    case BITS: \
        if (n == CG_CODE_ROWS) { \
            cg_some_dots(CG_CODE_ROWS, BITS, rows, stride, bytes, readable, query, dots); \
            return; \
        } \
        for (int t = 0; t < n; t++) \
            cg_some_dots(1, BITS, rows + t * stride, stride, bytes, readable, query, dots + t); \
        return;
    switch (bits) { CG_CALL(8) CG_CALL(4) CG_CALL(2) }
#undef CG_CALL
}

#endif
