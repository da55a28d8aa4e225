/* Comparisons, extremes, sums over lanes, partners of lanes, and stores around the caches. */
#ifndef CGCYTHON_X86_FLOATS_H
#define CGCYTHON_X86_FLOATS_H

#if defined(__AVX512F__)
#define CG_X86_F(op) _mm512_##op
#define CG_X86_T __m512
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) {
    return (cg_vu)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
CG_INLINE uint32_t cg_at_least(cg_vf a, cg_vf b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
}
CG_INLINE uint32_t cg_unordered(cg_vf a, cg_vf b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q);
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) {
    return (cg_vu)_mm512_max_epu32((__m512i)a, (__m512i)b);
}
CG_INLINE uint32_t cg_top_u(cg_vu a) { return _mm512_reduce_max_epu32((__m512i)a); }
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i ab = _mm512_packus_epi32((__m512i)a, (__m512i)b);
    __m512i cd = _mm512_packus_epi32((__m512i)c, (__m512i)d);
    __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(ab, cd));
    memcpy(p, &bytes, sizeof bytes);
}
CG_INLINE __m128 cg_x86_quarter(cg_v16 a) {
    __m512 all = (__m512)a.v0;
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}
CG_INLINE __m128 cg_x86_lowest_four(cg_vf v) {
    __m256 half = _mm256_min_ps(_mm512_castps512_ps256((__m512)v),
                                _mm512_extractf32x8_ps((__m512)v, 1));
    return _mm_min_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}
CG_INLINE cg_vf cg_swap1(cg_vf x) { return (cg_vf)_mm512_permute_ps((__m512)x, 0xB1); }
CG_INLINE cg_vf cg_swap2(cg_vf x) { return (cg_vf)_mm512_permute_ps((__m512)x, 0x4E); }
CG_INLINE cg_vf cg_swap4(cg_vf x) {
    return (cg_vf)_mm512_shuffle_f32x4((__m512)x, (__m512)x, 0xB1);
}
CG_INLINE cg_vf cg_swap8(cg_vf x) {
    return (cg_vf)_mm512_shuffle_f32x4((__m512)x, (__m512)x, 0x4E);
}
#elif defined(__AVX2__)
#define CG_X86_F(op) _mm256_##op
#define CG_X86_T __m256
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) {
    return (cg_vu)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ));
}
CG_INLINE uint32_t cg_at_least(cg_vf a, cg_vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ));
}
CG_INLINE uint32_t cg_unordered(cg_vf a, cg_vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q));
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) {
    return (cg_vu)_mm256_max_epu32((__m256i)a, (__m256i)b);
}
CG_INLINE uint32_t cg_top_u(cg_vu a) {
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128((__m256i)a),
                              _mm256_extracti128_si256((__m256i)a, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4E));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1)));
}
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    __m256i ab = _mm256_packus_epi32((__m256i)a, (__m256i)b);
    __m256i cd = _mm256_packus_epi32((__m256i)c, (__m256i)d);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd),
                                                _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    memcpy(p, &bytes, sizeof bytes);
}
CG_INLINE __m128 cg_x86_quarter(cg_v16 a) {
    __m256 half = _mm256_add_ps((__m256)a.v0, (__m256)a.v1);
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}
CG_INLINE __m128 cg_x86_lowest_four(cg_vf v) {
    return _mm_min_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
}
CG_INLINE cg_vf cg_swap1(cg_vf x) { return (cg_vf)_mm256_permute_ps((__m256)x, 0xB1); }
CG_INLINE cg_vf cg_swap2(cg_vf x) { return (cg_vf)_mm256_permute_ps((__m256)x, 0x4E); }
CG_INLINE cg_vf cg_swap4(cg_vf x) {
    return (cg_vf)_mm256_permute2f128_ps((__m256)x, (__m256)x, 1);
}
#else
#define CG_X86_F(op) _mm_##op
#define CG_X86_T __m128
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) { /* gcc would move each byte on its own */
    int32_t four;
    memcpy(&four, p, sizeof four);
    return (cg_vu)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
}
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return (uint32_t)_mm_movemask_ps(_mm_cmpgt_ps((__m128)a, (__m128)b));
}
CG_INLINE uint32_t cg_at_least(cg_vf a, cg_vf b) {
    return (uint32_t)_mm_movemask_ps(_mm_cmpge_ps((__m128)a, (__m128)b));
}
CG_INLINE uint32_t cg_unordered(cg_vf a, cg_vf b) {
    return (uint32_t)_mm_movemask_ps(_mm_cmpunord_ps((__m128)a, (__m128)b));
}
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) { return (cg_vu)_mm_max_epu32((__m128i)a, (__m128i)b); }
CG_INLINE uint32_t cg_top_u(cg_vu a) {
    __m128i m = _mm_max_epu32((__m128i)a, _mm_shuffle_epi32((__m128i)a, 0x4E));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1)));
}
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    __m128i bytes = _mm_packus_epi16(_mm_packus_epi32((__m128i)a, (__m128i)b),
                                     _mm_packus_epi32((__m128i)c, (__m128i)d));
    memcpy(p, &bytes, sizeof bytes);
}
CG_INLINE __m128 cg_x86_quarter(cg_v16 a) {
    return _mm_add_ps(_mm_add_ps((__m128)a.v0, (__m128)a.v2),
                      _mm_add_ps((__m128)a.v1, (__m128)a.v3));
}
CG_INLINE __m128 cg_x86_lowest_four(cg_vf v) { return (__m128)v; }
CG_INLINE cg_vf cg_swap1(cg_vf x) { return (cg_vf)_mm_shuffle_ps((__m128)x, (__m128)x, 0xB1); }
CG_INLINE cg_vf cg_swap2(cg_vf x) { return (cg_vf)_mm_shuffle_ps((__m128)x, (__m128)x, 0x4E); }
#endif
#define cg_load_bytes cg_load_bytes
#define cg_above cg_above
#define cg_at_least cg_at_least
#define cg_unordered cg_unordered
#define cg_max_u cg_max_u
#define cg_top_u cg_top_u
#define cg_store_bytes4 cg_store_bytes4
#define cg_swap1 cg_swap1
#define cg_swap2 cg_swap2

CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) {
    return (cg_vf)CG_X86_F(max_ps)((CG_X86_T)a, (CG_X86_T)b);
}
#define cg_max cg_max
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) {
    return (cg_vf)CG_X86_F(min_ps)((CG_X86_T)a, (CG_X86_T)b);
}
#define cg_min cg_min

/* Lanes i and i + 8, then 4, 2 and 1 apart. */
CG_INLINE float cg_sum16(cg_v16 a) {
    __m128 s = cg_x86_quarter(a);
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
#define cg_sum16 cg_sum16
CG_INLINE float cg_lowest(cg_vf v) {
    __m128 four = cg_x86_lowest_four(v);
    four = _mm_min_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_min_ss(four, _mm_movehdup_ps(four)));
}
#define cg_lowest cg_lowest
/* To the nearest whole numbers, ties to even. */
CG_INLINE cg_vi cg_nearest(cg_vf v) { return (cg_vi)CG_X86_F(cvtps_epi32)((CG_X86_T)v); }
#define cg_nearest cg_nearest

CG_INLINE void cg_stream_floats(float *to, cg_vf v) { CG_X86_F(stream_ps)(to, (CG_X86_T)v); }
#define cg_stream_floats cg_stream_floats
CG_INLINE void cg_stream_end(void) { _mm_sfence(); }
#define cg_stream_end cg_stream_end

#endif
