/* Narrow floats: E4M3, float16, bfloat16, and how floats round. */
#ifndef CGCYTHON_X86_HALVES_H
#define CGCYTHON_X86_HALVES_H

/* A code is a float16 with a shorter exponent and mantissa, so moving it into place and converting
   gives its value times 2**-8, subnormals included. */
#if defined(__AVX512F__)
CG_INLINE cg_vf cg_load_e4m3(const uint8_t *codes) {
    __m256i half = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)codes)), 7);
    /* Bit 14 repeats the sign; it must be 0, or 1 where all bits of the size are (NaN). */
    __m256i size = _mm256_and_si256(half, _mm256_set1_epi16(0x3F80));
    __m256i carry = _mm256_add_epi16(size, _mm256_set1_epi16(0x0080));
    half = _mm256_ternarylogic_epi64(_mm256_set1_epi16(0x4000), carry, half, 0xCA);
    return (cg_vf)_mm512_cvtph_ps(half) * 256;
}
#define cg_load_e4m3 cg_load_e4m3
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtps_ph(_mm512_loadu_ps(p), 8));
}
#define cg_round_halves cg_round_halves
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    _mm512_storeu_ps(to, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)));
}
#define cg_widen_halves cg_widen_halves
#elif defined(__F16C__)
CG_INLINE cg_vf cg_load_e4m3(const uint8_t *codes) {
    __m128i half = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)codes)), 7);
    __m128i size = _mm_and_si128(half, _mm_set1_epi16(0x3F80));
    __m128i carry = _mm_add_epi16(size, _mm_set1_epi16(0x0080));
    __m128i change = _mm_and_si128(_mm_xor_si128(half, carry), _mm_set1_epi16(0x4000));
    return (cg_vf)_mm256_cvtph_ps(_mm_xor_si128(half, change)) * 256;
}
#define cg_load_e4m3 cg_load_e4m3
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph(_mm256_loadu_ps(p), 8));
}
#define cg_round_halves cg_round_halves
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)));
}
#define cg_widen_halves cg_widen_halves
#endif

#if defined(__AVX512VBMI__)
CG_INLINE __m512i cg_x86_bytes_of(const cg_vu *v, __m512i which) {
    __m512i low = _mm512_permutex2var_epi8((__m512i)v[0], which, (__m512i)v[1]);
    __m512i high = _mm512_permutex2var_epi8((__m512i)v[2], which, (__m512i)v[3]);
    return _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1);
}
CG_INLINE void cg_store_signed4(uint8_t *p, const cg_vu *sizes, uint8_t bias, const cg_vu *signs) {
    uint8_t every_fourth[64];
    for (int i = 0; i < 64; i++) every_fourth[i] = 4 * i & 127;
    __m512i lowest = _mm512_loadu_si512(every_fourth);
    __m512i highest = _mm512_add_epi8(lowest, _mm512_set1_epi8(3));
    __m512i bytes = cg_x86_bytes_of(sizes, lowest), tops = cg_x86_bytes_of(signs, highest);
    bytes = _mm512_sub_epi8(bytes, _mm512_set1_epi8((char)bias));
    bytes = _mm512_ternarylogic_epi64(bytes, tops, _mm512_set1_epi8(-128), 0xF8);
    memcpy(p, &bytes, sizeof bytes);
}
#elif defined(__AVX512F__)
CG_INLINE void cg_store_signed4(uint8_t *p, const cg_vu *sizes, uint8_t bias, const cg_vu *signs) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i ab = _mm512_packus_epi32((__m512i)(sizes[0] & 0xFF), (__m512i)(sizes[1] & 0xFF));
    __m512i cd = _mm512_packus_epi32((__m512i)(sizes[2] & 0xFF), (__m512i)(sizes[3] & 0xFF));
    __m512i tops = _mm512_packs_epi16(_mm512_packs_epi32((__m512i)signs[0], (__m512i)signs[1]),
                                      _mm512_packs_epi32((__m512i)signs[2], (__m512i)signs[3]));
    __m512i bytes = _mm512_packus_epi16(ab, cd);
    bytes = _mm512_sub_epi8(bytes, _mm512_set1_epi8((char)bias));
    bytes = _mm512_ternarylogic_epi64(bytes, tops, _mm512_set1_epi8(-128), 0xF8);
    bytes = _mm512_permutexvar_epi32(order, bytes);
    memcpy(p, &bytes, sizeof bytes);
}
#elif defined(__AVX2__)
CG_INLINE void cg_store_signed4(uint8_t *p, const cg_vu *sizes, uint8_t bias, const cg_vu *signs) {
    __m256i ab = _mm256_packus_epi32((__m256i)(sizes[0] & 0xFF), (__m256i)(sizes[1] & 0xFF));
    __m256i cd = _mm256_packus_epi32((__m256i)(sizes[2] & 0xFF), (__m256i)(sizes[3] & 0xFF));
    __m256i tops = _mm256_packs_epi16(_mm256_packs_epi32((__m256i)signs[0], (__m256i)signs[1]),
                                      _mm256_packs_epi32((__m256i)signs[2], (__m256i)signs[3]));
    __m256i bytes = _mm256_packus_epi16(ab, cd);
    bytes = _mm256_sub_epi8(bytes, _mm256_set1_epi8((char)bias));
    bytes = _mm256_or_si256(bytes, _mm256_and_si256(tops, _mm256_set1_epi8(-128)));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    memcpy(p, &bytes, sizeof bytes);
}
#else
CG_INLINE void cg_store_signed4(uint8_t *p, const cg_vu *sizes, uint8_t bias, const cg_vu *signs) {
    __m128i ab = _mm_packus_epi32((__m128i)(sizes[0] & 0xFF), (__m128i)(sizes[1] & 0xFF));
    __m128i cd = _mm_packus_epi32((__m128i)(sizes[2] & 0xFF), (__m128i)(sizes[3] & 0xFF));
    __m128i tops = _mm_packs_epi16(_mm_packs_epi32((__m128i)signs[0], (__m128i)signs[1]),
                                   _mm_packs_epi32((__m128i)signs[2], (__m128i)signs[3]));
    __m128i bytes = _mm_sub_epi8(_mm_packus_epi16(ab, cd), _mm_set1_epi8((char)bias));
    bytes = _mm_or_si128(bytes, _mm_and_si128(tops, _mm_set1_epi8(-128)));
    memcpy(p, &bytes, sizeof bytes);
}
#endif
#define cg_store_signed4 cg_store_signed4

/* One mask would take the register that a tile of narrower vectors leaves: shifted instead. */
#if !defined(__AVX512F__)
CG_INLINE cg_vf cg_odd_halves(cg_vu pairs) {
    pairs >>= 16;
    CG_PIN(pairs);
    return cg_floats(pairs << 16);
}
#define cg_odd_halves cg_odd_halves
#endif

#if defined(__AVX512BF16__)
#define CG_HAS_HALF_DOTS 1
CG_INLINE cg_vf cg_half_dots(cg_vf sum, cg_vu a, cg_vu b) {
    return (cg_vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#define cg_half_dots cg_half_dots
CG_INLINE cg_f4 cg_sums4(cg_vf a, cg_vf b, cg_vf c, cg_vf d) {
#define CG_HALVED(v) \
    _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1))
    __m256 p = CG_HALVED(a), q = CG_HALVED(b), r = CG_HALVED(c), s = CG_HALVED(d);
#undef CG_HALVED
    p = _mm256_add_ps(_mm256_unpacklo_ps(p, q), _mm256_unpackhi_ps(p, q));
    r = _mm256_add_ps(_mm256_unpacklo_ps(r, s), _mm256_unpackhi_ps(r, s));
    p = _mm256_add_ps(_mm256_shuffle_ps(p, r, 0x44), _mm256_shuffle_ps(p, r, 0xEE));
    return (cg_f4)_mm_add_ps(_mm256_castps256_ps128(p), _mm256_extractf128_ps(p, 1));
}
#define cg_sums4 cg_sums4
CG_INLINE float cg_sum_lanes(cg_vf v) { return _mm512_reduce_add_ps((__m512)v); }
#define cg_sum_lanes cg_sum_lanes
#endif

/* To nearest even, with denormals or flushing them. The clobber keeps all that is read and written
   on its side. */
#define CG_KEEP 0x1F80U
#define CG_FLUSH (CG_KEEP | 0x8040U)
CG_INLINE uint32_t cg_get_rounding(void) { return _mm_getcsr(); }
CG_INLINE void cg_set_rounding(uint32_t mode) {
    __asm__ volatile("ldmxcsr %0" : : "m"(mode) : "memory");
}
#define cg_set_rounding cg_set_rounding

#endif
