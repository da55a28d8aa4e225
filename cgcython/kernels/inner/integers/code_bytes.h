/* E4M3 codes as signed bytes: the values times 127 / 448, rounded, so that 448 becomes 127. */
#ifndef CGCYTHON_CODE_BYTES_H
#define CGCYTHON_CODE_BYTES_H

#include "inner/simd/vector.h"

/* Of the codes without a sign; 0x7F, which is NaN, becomes 0. */
static const uint8_t cg_code_sizes[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2,
    2, 3, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9,
    9, 10, 11, 12, 14, 15, 16, 17, 18, 20, 23, 25, 27, 29, 32, 34,
    36, 41, 45, 50, 54, 59, 64, 68, 73, 82, 91, 100, 109, 118, 127, 0};

/* Without permutations of bytes, becoming bytes takes longer than their dots save. */
#define CG_CODE_BYTES_PAY CG_HAS_WIDE_TABLES

CG_INLINE uint8_t cg_byte_of_code(uint8_t code) {
    uint8_t size = cg_code_sizes[code & 0x7F], minus = -(code >> 7);
    return (size ^ minus) - minus;
}

CG_INLINE void cg_bytes_of_codes(const uint8_t *codes, ptrdiff_t n, uint8_t *bytes) {
    ptrdiff_t i = 0;
#if CG_HAS_WIDE_TABLES
    for (; i + CG_VECTOR_BYTES <= n; i += CG_VECTOR_BYTES) {
        cg_vc code = cg_load_c(codes + i), minus = (cg_vc)(code > 0x7F);
        cg_store_c(bytes + i, (cg_table128(cg_code_sizes, code) ^ minus) - minus);
    }
#endif
    for (; i < n; i++) bytes[i] = cg_byte_of_code(codes[i]);
}

#endif
