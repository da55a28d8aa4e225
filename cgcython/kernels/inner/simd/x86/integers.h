/* Products of bytes and of 16-bit numbers, their sums, and numbers made wider. */
#ifndef CGCYTHON_X86_INTEGERS_H
#define CGCYTHON_X86_INTEGERS_H

#if defined(__AVX512VNNI__)
CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    return (cg_vi)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#define CG_HAS_BYTE_DOTS 1
CG_INLINE cg_vi cg_add_byte_dots(cg_vi sum, cg_vi a, cg_vi b) {
    return (cg_vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}
#define cg_add_byte_dots cg_add_byte_dots
#elif defined(__AVX512F__)
CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    return sum + (cg_vi)_mm512_madd_epi16((__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    return sum + (cg_vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
#else
CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    return sum + (cg_vi)_mm_madd_epi16((__m128i)a, (__m128i)b);
}
#endif
#define cg_add_products cg_add_products

#if defined(__AVX512F__)
CG_INLINE cg_vs cg_byte_pairs(cg_vc a, cg_vc b) {
    return (cg_vs)_mm512_maddubs_epi16((__m512i)a, (__m512i)b);
}
CG_INLINE cg_vi cg_load_shorts(const int8_t *p) {
    return (cg_vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}
CG_INLINE int32_t cg_sum_i(cg_vi v) { return _mm512_reduce_add_epi32((__m512i)v); }
CG_INLINE uint64_t cg_sum_q(cg_vq v) { return (uint64_t)_mm512_reduce_add_epi64((__m512i)v); }
typedef __m256i cg_words;
CG_INLINE cg_words cg_set_words(uint16_t x) { return _mm256_set1_epi16((short)x); }
CG_INLINE cg_vu cg_between(const uint16_t *p, cg_words low, cg_words high) {
    __m256i v = _mm256_min_epu16(_mm256_loadu_si256((const __m256i *)p), high);
    return (cg_vu)_mm512_cvtepu16_epi32(_mm256_subs_epu16(v, low));
}
CG_INLINE uint32_t cg_words_above(const uint16_t *a, const uint16_t *b) {
    return _mm256_cmpgt_epu16_mask(_mm256_loadu_si256((const __m256i *)a),
                                   _mm256_loadu_si256((const __m256i *)b));
}
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) {
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
CG_INLINE cg_vq cg_spread8(const uint8_t *p) {
    int64_t eight;
    memcpy(&eight, p, 8);
    const __m512i from = _mm512_set_epi64(
        0x0707070707070707, 0x0606060606060606, 0x0505050505050505, 0x0404040404040404,
        0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    return (cg_vq)_mm512_shuffle_epi8(_mm512_set1_epi64(eight), from);
}
#elif defined(__AVX2__)
CG_INLINE cg_vs cg_byte_pairs(cg_vc a, cg_vc b) {
    return (cg_vs)_mm256_maddubs_epi16((__m256i)a, (__m256i)b);
}
CG_INLINE cg_vi cg_load_shorts(const int8_t *p) {
    return (cg_vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}
CG_INLINE int32_t cg_sum_i(cg_vi v) {
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128((__m256i)v),
                              _mm256_extracti128_si256((__m256i)v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}
CG_INLINE uint64_t cg_sum_q(cg_vq v) {
    __m128i s = _mm_add_epi64(_mm256_castsi256_si128((__m256i)v),
                              _mm256_extracti128_si256((__m256i)v, 1));
    return (uint64_t)_mm_cvtsi128_si64(s) + (uint64_t)_mm_extract_epi64(s, 1);
}
CG_INLINE cg_vq cg_spread8(const uint8_t *p) {
    int32_t four;
    memcpy(&four, p, 4);
    const __m256i from = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202,
                                           0x0101010101010101, 0);
    return (cg_vq)_mm256_shuffle_epi8(_mm256_set1_epi64x(four), from);
}
#define CG_X86_LOAD_WORDS(p) _mm_loadu_si128((const __m128i *)(p))
#define CG_X86_WIDEN_WORDS(v) (cg_vu)_mm256_cvtepu16_epi32(v)
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) {
    return (uint32_t)_mm256_movemask_ps((__m256)(cg_vi)(a == b));
}
#else
CG_INLINE cg_vs cg_byte_pairs(cg_vc a, cg_vc b) {
    return (cg_vs)_mm_maddubs_epi16((__m128i)a, (__m128i)b);
}
CG_INLINE cg_vi cg_load_shorts(const int8_t *p) {
    return (cg_vi)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
}
CG_INLINE int32_t cg_sum_i(cg_vi v) {
    __m128i s = (__m128i)v;
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}
CG_INLINE uint64_t cg_sum_q(cg_vq v) { return v[0] + v[1]; }
CG_INLINE cg_vq cg_spread8(const uint8_t *p) {
    uint16_t two;
    memcpy(&two, p, 2);
    const __m128i from = _mm_set_epi64x(0x0101010101010101, 0);
    return (cg_vq)_mm_shuffle_epi8(_mm_set1_epi64x(two), from);
}
#define CG_X86_LOAD_WORDS(p) _mm_loadl_epi64((const __m128i *)(p))
#define CG_X86_WIDEN_WORDS(v) (cg_vu)_mm_cvtepu16_epi32(v)
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) {
    return (uint32_t)_mm_movemask_ps((__m128)(cg_vi)(a == b));
}
#endif
#if !defined(__AVX512F__)
typedef __m128i cg_words;
CG_INLINE cg_words cg_set_words(uint16_t x) { return _mm_set1_epi16((short)x); }
CG_INLINE cg_vu cg_between(const uint16_t *p, cg_words low, cg_words high) {
    __m128i v = _mm_min_epu16(CG_X86_LOAD_WORDS(p), high);
    return CG_X86_WIDEN_WORDS(_mm_subs_epu16(v, low));
}
CG_INLINE uint32_t cg_words_above(const uint16_t *a, const uint16_t *b) {
    __m128i beyond = _mm_subs_epu16(CG_X86_LOAD_WORDS(a), CG_X86_LOAD_WORDS(b));
    __m128i same = _mm_cmpeq_epi16(beyond, _mm_setzero_si128());
    uint32_t lanes = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(same, same));
    return ~lanes & ((1u << CG_LANES) - 1);
}
#endif
#define cg_byte_pairs cg_byte_pairs
#define cg_load_shorts cg_load_shorts
#define cg_sum_i cg_sum_i
#define cg_sum_q cg_sum_q
#define cg_between cg_between
#define cg_words_above cg_words_above
#define cg_equal cg_equal
#define cg_spread8 cg_spread8

#endif
