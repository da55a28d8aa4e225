/* E4M3 codes to floats and back. A code is a float16 with a shorter exponent and mantissa, so moving
   it into place and converting gives its value times 2**-8, subnormals included. */
#ifndef CGCYTHON_E4M3_H
#define CGCYTHON_E4M3_H

#include "_vector.h"

/* The exact values of CG_LANES codes. */
CG_INLINE cg_vf cg_load_e4m3(const uint8_t *codes) {
#if defined(__AVX512F__)
    __m256i half = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((void *)codes)), 7);
    /* Bit 14 repeats the sign; it must be 0, or 1 where all bits of the size are (NaN). */
    __m256i size = _mm256_and_si256(half, _mm256_set1_epi16(0x3F80));
    __m256i carry = _mm256_add_epi16(size, _mm256_set1_epi16(0x0080));
    half = _mm256_ternarylogic_epi64(_mm256_set1_epi16(0x4000), carry, half, 0xCA);
    return (cg_vf)_mm512_cvtph_ps(half) * 256;
#elif defined(__F16C__)
    __m128i half = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64((void *)codes)), 7);
    __m128i size = _mm_and_si128(half, _mm_set1_epi16(0x3F80));
    __m128i carry = _mm_add_epi16(size, _mm_set1_epi16(0x0080));
    __m128i change = _mm_and_si128(_mm_xor_si128(half, carry), _mm_set1_epi16(0x4000));
    return (cg_vf)_mm256_cvtph_ps(_mm_xor_si128(half, change)) * 256;
#else
    cg_vu code = cg_load_bytes(codes), size = (code & 0x7F) << 20, sign = (code & 0x80) << 24;
    /* Subnormals: as if normal, with one power more, less that power. */
    cg_vf tiny = cg_floats(size + (121 << 23)) - cg_floats(cg_set_u(121 << 23));
    cg_vu is_tiny = cg_below(size, cg_set_u(1 << 23));
    cg_vu is_nan = cg_below(cg_set_u(0x7E << 20), size) & 0x7FC00000;
    return cg_floats(cg_select(is_tiny, cg_bits(tiny), size + (120 << 23)) | is_nan | sign);
#endif
}

/* The exact values of sixteen codes. */
CG_INLINE cg_v16 cg_load16_e4m3(const uint8_t *codes) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_load_e4m3(codes + i * CG_LANES);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}

/* max(a - b, 0) in each half of a lane. */
#if defined(__AVX512F__)
CG_INLINE cg_vu cg_less16(cg_vu a, cg_vu b) {
    return (cg_vu)_mm512_subs_epu16((__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
CG_INLINE cg_vu cg_less16(cg_vu a, cg_vu b) {
    return (cg_vu)_mm256_subs_epu16((__m256i)a, (__m256i)b);
}
#else
CG_INLINE cg_vu cg_less16(cg_vu a, cg_vu b) { return (cg_vu)_mm_subs_epu16((__m128i)a, (__m128i)b); }
#endif

/* The codes of numbers up to 448. */
CG_INLINE cg_vu cg_encode_e4m3(cg_vf x) {
    /* Else the product that x is would be rounded once with our sum, on the levels with FMA. */
    __asm__("" : "+v"(x));
    cg_vu sign = cg_bits(x) & 0x80000000U;
    /* Powers of two above 2**-6, at and below which the unit of a code is 2**-9. */
    cg_vu power = cg_less16(cg_bits(x) & 0x7F800000, cg_set_u(121 << 23));
    /* 2**20 powers away a float's own unit is the code's unit, so this sum rounds as we need. */
    cg_vu far = (power + (141 << 23)) | sign;
    cg_vu units = cg_bits(x + cg_floats(far)) - far;
    return ((power >> 20) + units) | (sign >> 24);
}

#endif
