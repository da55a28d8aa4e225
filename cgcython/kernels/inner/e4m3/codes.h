/* E4M3 codes to floats and back. A code is a float16 with a shorter exponent and mantissa, so moving
   it into place and converting gives its value times 2**-8, subnormals included. */
#ifndef CGCYTHON_E4M3_H
#define CGCYTHON_E4M3_H

#include "inner/simd/vector.h"

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

/* In its lowest byte, the code of a number up to 448 without its sign, plus CG_CODE_BIAS. */
#define CG_CODE_BIAS ((141 << 3) & 0xFF)
CG_INLINE cg_vu cg_code_of(cg_vu size) {
    /* Powers of two; at and below 2**-6 the unit of a code is 2**-9. */
    cg_vf power = cg_max(cg_floats(size & 0x7F800000), cg_set(0x1p-6f));
    /* 2**20 powers away a float's own unit is the code's unit, so this sum rounds as we need. */
    cg_vu sum = cg_bits(power * 0x1p20f + cg_floats(size));
    return sum + (sum >> 20);
}

/* Four vectors to 4 * CG_LANES bytes in order: the lowest of each lane of `codes` less the bias,
   and the sign of each lane of x. */
#if defined(__AVX512VBMI__)
CG_INLINE __m512i cg_bytes_of(cg_vu a, cg_vu b, cg_vu c, cg_vu d, __m512i which) {
    __m512i low = _mm512_permutex2var_epi8((__m512i)a, which, (__m512i)b);
    __m512i high = _mm512_permutex2var_epi8((__m512i)c, which, (__m512i)d);
    return _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1);
}
CG_INLINE void cg_store_codes(uint8_t *p, const cg_vu *codes, const cg_vu *x) {
    uint8_t every_fourth[64];
    for (int i = 0; i < 64; i++) every_fourth[i] = 4 * i & 127;
    __m512i lowest = _mm512_loadu_si512(every_fourth);
    __m512i highest = _mm512_add_epi8(lowest, _mm512_set1_epi8(3));
    __m512i bytes = cg_bytes_of(codes[0], codes[1], codes[2], codes[3], lowest);
    __m512i signs = cg_bytes_of(x[0], x[1], x[2], x[3], highest);
    bytes = _mm512_sub_epi8(bytes, _mm512_set1_epi8(CG_CODE_BIAS));
    bytes = _mm512_ternarylogic_epi64(bytes, signs, _mm512_set1_epi8(-128), 0xF8);
    memcpy(p, &bytes, sizeof bytes);
}
#elif defined(__AVX512F__)
CG_INLINE void cg_store_codes(uint8_t *p, const cg_vu *codes, const cg_vu *x) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i ab = _mm512_packus_epi32((__m512i)(codes[0] & 0xFF), (__m512i)(codes[1] & 0xFF));
    __m512i cd = _mm512_packus_epi32((__m512i)(codes[2] & 0xFF), (__m512i)(codes[3] & 0xFF));
    __m512i signs = _mm512_packs_epi16(_mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]),
                                       _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]));
    __m512i bytes = _mm512_packus_epi16(ab, cd);
    bytes = _mm512_sub_epi8(bytes, _mm512_set1_epi8(CG_CODE_BIAS));
    bytes = _mm512_ternarylogic_epi64(bytes, signs, _mm512_set1_epi8(-128), 0xF8);
    bytes = _mm512_permutexvar_epi32(order, bytes);
    memcpy(p, &bytes, sizeof bytes);
}
#elif defined(__AVX2__)
CG_INLINE void cg_store_codes(uint8_t *p, const cg_vu *codes, const cg_vu *x) {
    __m256i ab = _mm256_packus_epi32((__m256i)(codes[0] & 0xFF), (__m256i)(codes[1] & 0xFF));
    __m256i cd = _mm256_packus_epi32((__m256i)(codes[2] & 0xFF), (__m256i)(codes[3] & 0xFF));
    __m256i signs = _mm256_packs_epi16(_mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]),
                                       _mm256_packs_epi32((__m256i)x[2], (__m256i)x[3]));
    __m256i bytes = _mm256_packus_epi16(ab, cd);
    bytes = _mm256_sub_epi8(bytes, _mm256_set1_epi8(CG_CODE_BIAS));
    bytes = _mm256_or_si256(bytes, _mm256_and_si256(signs, _mm256_set1_epi8(-128)));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    memcpy(p, &bytes, sizeof bytes);
}
#else
CG_INLINE void cg_store_codes(uint8_t *p, const cg_vu *codes, const cg_vu *x) {
    __m128i ab = _mm_packus_epi32((__m128i)(codes[0] & 0xFF), (__m128i)(codes[1] & 0xFF));
    __m128i cd = _mm_packus_epi32((__m128i)(codes[2] & 0xFF), (__m128i)(codes[3] & 0xFF));
    __m128i signs = _mm_packs_epi16(_mm_packs_epi32((__m128i)x[0], (__m128i)x[1]),
                                    _mm_packs_epi32((__m128i)x[2], (__m128i)x[3]));
    __m128i bytes = _mm_sub_epi8(_mm_packus_epi16(ab, cd), _mm_set1_epi8(CG_CODE_BIAS));
    bytes = _mm_or_si128(bytes, _mm_and_si128(signs, _mm_set1_epi8(-128)));
    memcpy(p, &bytes, sizeof bytes);
}
#endif

/* Whether a lane of either is NaN. */
#if defined(__AVX512F__)
CG_INLINE int cg_unordered(cg_vu a, cg_vu b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q);
}
#elif defined(__AVX2__)
CG_INLINE int cg_unordered(cg_vu a, cg_vu b) {
    return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q));
}
#else
CG_INLINE int cg_unordered(cg_vu a, cg_vu b) {
    return _mm_movemask_ps(_mm_cmpunord_ps((__m128)a, (__m128)b));
}
#endif

/* The codes of 4 * CG_LANES numbers times a factor, at most 448 then. */
CG_INLINE void cg_encode_e4m3(const float *values, cg_vf factor, uint8_t *p) {
    cg_vu x[4], codes[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        x[i] = cg_bits(cg_load(values + i * CG_LANES) * factor);
        codes[i] = cg_code_of(x[i] & 0x7FFFFFFF);
    }
    cg_store_codes(p, codes, x);
}

/* The codes of any 4 * CG_LANES numbers: beyond 448 they saturate, NaN becomes 0x7F. */
CG_INLINE void cg_encode_any_e4m3(const float *values, uint8_t *p) {
    cg_vu x[4], codes[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        x[i] = cg_bits(cg_load(values + i * CG_LANES));
        codes[i] = cg_code_of(cg_bits(cg_min(cg_floats(x[i] & 0x7FFFFFFF), cg_set(448))));
    }
    cg_store_codes(p, codes, x);
    if (__builtin_expect(cg_unordered(x[0], x[1]) | cg_unordered(x[2], x[3]), 0))
        for (int i = 0; i < 4 * CG_LANES; i++)
            if (values[i] != values[i]) p[i] |= 0x7F;
}

#endif
