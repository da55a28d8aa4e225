/* Bytes and bits: tables, counts, fields of bits, places of ones, few values from many. */
#ifndef CGCYTHON_X86_BYTES_H
#define CGCYTHON_X86_BYTES_H

#if defined(__AVX512F__)
#define CG_X86_I(op) _mm512_##op
#define CG_X86_M __m512i
#define CG_X86_EACH(bytes) _mm512_broadcast_i32x4(bytes)
#elif defined(__AVX2__)
#define CG_X86_I(op) _mm256_##op
#define CG_X86_M __m256i
#define CG_X86_EACH(bytes) _mm256_broadcastsi128_si256(bytes)
#else
#define CG_X86_I(op) _mm_##op
#define CG_X86_M __m128i
#define CG_X86_EACH(bytes) (bytes)
#endif

CG_INLINE cg_vc cg_table16(const uint8_t *table, cg_vc places) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)table);
    return (cg_vc)CG_X86_I(shuffle_epi8)(CG_X86_EACH(bytes), (CG_X86_M)places);
}
#define cg_table16 cg_table16
CG_INLINE cg_vc cg_join_low(cg_vc a, cg_vc b) {
    return (cg_vc)CG_X86_I(unpacklo_epi8)((CG_X86_M)a, (CG_X86_M)b);
}
#define cg_join_low cg_join_low
CG_INLINE cg_vc cg_join_high(cg_vc a, cg_vc b) {
    return (cg_vc)CG_X86_I(unpackhi_epi8)((CG_X86_M)a, (CG_X86_M)b);
}
#define cg_join_high cg_join_high
CG_INLINE cg_vc cg_add_up_to_255(cg_vc a, cg_vc b) {
    return (cg_vc)CG_X86_I(adds_epu8)((CG_X86_M)a, (CG_X86_M)b);
}
#define cg_add_up_to_255 cg_add_up_to_255
CG_INLINE cg_vc cg_max_c(cg_vc a, cg_vc b) {
    return (cg_vc)CG_X86_I(max_epu8)((CG_X86_M)a, (CG_X86_M)b);
}
#define cg_max_c cg_max_c
CG_INLINE int cg_holds_byte(cg_vc v, uint8_t byte) {
#if defined(__AVX512F__)
    return _mm512_cmpeq_epi8_mask((__m512i)v, _mm512_set1_epi8((char)byte)) != 0;
#else
    CG_X86_M same = CG_X86_I(cmpeq_epi8)((CG_X86_M)v, CG_X86_I(set1_epi8)((char)byte));
    return CG_X86_I(movemask_epi8)(same) != 0;
#endif
}
#define cg_holds_byte cg_holds_byte

#if defined(__AVX512F__)
CG_INLINE cg_vc cg_load_part_c(const void *p, ptrdiff_t n) {
    __mmask64 some = n < 64 ? (1ULL << n) - 1 : ~0ULL;
    return (cg_vc)_mm512_maskz_loadu_epi8(some, p);
}
#define cg_load_part_c cg_load_part_c
CG_INLINE uint64_t cg_bytes_below(cg_vc v, uint8_t limit) {
    return _mm512_cmplt_epu8_mask((__m512i)v, _mm512_set1_epi8((char)limit));
}
#define cg_bytes_below cg_bytes_below
/* In this order the interleaving of bytes, 128 bits at a time, leaves them in theirs. */
CG_INLINE cg_vc cg_before_join(cg_vc v) {
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    return (cg_vc)_mm512_permutexvar_epi64(order, (__m512i)v);
}
#define cg_before_join cg_before_join
#endif

#if defined(__AVX512VBMI__)
#define CG_HAS_WIDE_TABLES 1
CG_INLINE cg_vc cg_table128(const uint8_t *table, cg_vc places) {
    return (cg_vc)_mm512_permutex2var_epi8(_mm512_loadu_si512(table), (__m512i)places,
                                           _mm512_loadu_si512(table + 64));
}
#define cg_table128 cg_table128
/* The top bit of a code chooses the half. */
CG_INLINE cg_vc cg_table256(const cg_vc table[4], cg_vc codes) {
    __m512i low = _mm512_permutex2var_epi8((__m512i)table[0], (__m512i)codes, (__m512i)table[1]);
    __m512i high = _mm512_permutex2var_epi8((__m512i)table[2], (__m512i)codes, (__m512i)table[3]);
    return (cg_vc)_mm512_mask_blend_epi8(_mm512_movepi8_mask((__m512i)codes), low, high);
}
#define cg_table256 cg_table256
#elif defined(__AVX512BW__)
/* The pairs of entries that hold those of 32 codes, each code in the byte below `top`. */
CG_INLINE __m512i cg_x86_pairs_of(const cg_vc table[4], __m512i pairs, __m512i codes, int top) {
    __m512i low = _mm512_permutex2var_epi16((__m512i)table[0], pairs, (__m512i)table[1]);
    __m512i high = _mm512_permutex2var_epi16((__m512i)table[2], pairs, (__m512i)table[3]);
    __mmask32 upper = _mm512_test_epi16_mask(codes, _mm512_set1_epi16((short)(top >> 1)));
    return _mm512_mask_blend_epi16(upper, low, high);
}
/* Only words permute: even and odd codes look up pairs of entries, whose last bit chooses one. */
CG_INLINE cg_vc cg_table256(const cg_vc table[4], cg_vc places) {
    const __m512i eight = _mm512_set1_epi16(8), codes = (__m512i)places;
    __m512i even = cg_x86_pairs_of(table, _mm512_srli_epi16(codes, 1), codes, 0x100);
    __m512i odd = cg_x86_pairs_of(table, _mm512_srli_epi16(codes, 9), codes, 0x10000);
    __m512i down = _mm512_and_si512(_mm512_slli_epi16(codes, 3), eight);
    __m512i up = _mm512_andnot_si512(_mm512_srli_epi16(codes, 5), eight);
    even = _mm512_srlv_epi16(even, down);
    odd = _mm512_sllv_epi16(odd, up);
    return (cg_vc)_mm512_mask_blend_epi8(0xAAAAAAAAAAAAAAAA, even, odd);
}
#define cg_table256 cg_table256
#endif

#if defined(__AVX512VPOPCNTDQ__)
CG_INLINE cg_vq cg_ones_q(cg_vc v) { return (cg_vq)_mm512_popcnt_epi64((__m512i)v); }
#define cg_ones_q cg_ones_q
#elif defined(__AVX2__)
CG_INLINE cg_vq cg_ones_q(cg_vc v) {
    const CG_X86_M low = CG_X86_I(set1_epi8)(15), x = (CG_X86_M)v;
    const CG_X86_M counts =
        CG_X86_EACH(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    CG_X86_M upper = (CG_X86_M)((cg_vc)CG_X86_I(srli_epi16)(x, 4) & (cg_vc)low);
    CG_X86_M ones = CG_X86_I(add_epi8)(CG_X86_I(shuffle_epi8)(counts, (CG_X86_M)(v & (cg_vc)low)),
                                       CG_X86_I(shuffle_epi8)(counts, upper));
    return (cg_vq)CG_X86_I(sad_epu8)(ones, (CG_X86_M)(cg_vc){0});
}
#define cg_ones_q cg_ones_q
#endif

/* Eight fields of bits, and places of ones. Some processors without AVX-512 take hundreds of cycles
   to gather bits. */
#if defined(__AVX512VL__)
typedef uint64_t cg_fields; /* the fields' bits within eight bytes */
CG_INLINE cg_fields cg_fields_of(uint32_t width) { return ~0ull / 255 * ((1u << width) - 1); }
CG_INLINE cg_u8 cg_unpack8(uint64_t packed, cg_fields fields, uint32_t width) {
    (void)width;
    __m128i bytes = _mm_cvtsi64_si128((long long)_pdep_u64(packed, fields));
    return (cg_u8)_mm256_cvtepu8_epi32(bytes);
}
CG_INLINE uint64_t cg_pack8(cg_u8 values, cg_fields fields, uint32_t width) {
    (void)width;
    __m128i bytes = _mm256_cvtepi32_epi8((__m256i)values);
    return _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), fields);
}
#define cg_pack8 cg_pack8
enum { CG_PLACES = 16 };
CG_INLINE intptr_t cg_store_places(uint32_t *to, const uint8_t *bits, uint32_t first) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint16_t ones;
    memcpy(&ones, bits, sizeof ones);
    __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)first));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(ones, places));
    return cg_ones(ones);
}
#define cg_store_places cg_store_places
#endif
CG_INLINE uint64_t cg_pack_bits(const uint8_t *p) {
#if defined(__AVX512BW__)
    __m512i v = _mm512_loadu_si512(p);
    return _mm512_test_epi8_mask(v, v);
#else
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++) {
        __m128i v = _mm_slli_epi64(_mm_loadu_si128((const __m128i *)(p + 16 * i)), 7);
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(v) << 16 * i;
    }
    return bits;
#endif
}
#define cg_pack_bits cg_pack_bits
CG_INLINE cg_u8 cg_widen_u8(const uint8_t *p) { /* gcc converts vectors of eight one by one */
    __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
#if defined(__AVX2__)
    return (cg_u8)_mm256_cvtepu8_epi32(bytes);
#else
    cg_u8 v;
    __m128i halves[] = {_mm_cvtepu8_epi32(bytes), _mm_cvtepu8_epi32(_mm_srli_si128(bytes, 4))};
    memcpy(&v, halves, sizeof v);
    return v;
#endif
}
#define cg_widen_u8 cg_widen_u8

/* Gather instructions are no faster than single loads where they are fast, and many times slower on
   processors that must guard them. */
CG_INLINE cg_f4 cg_gather4(const float *values, const uint32_t *indices) {
    uint64_t a, b;
    memcpy(&a, indices, 8);
    memcpy(&b, indices + 2, 8);
    __m128 v = _mm_load_ss(values + (uint32_t)a);
    v = _mm_insert_ps(v, _mm_load_ss(values + (a >> 32)), 0x10);
    v = _mm_insert_ps(v, _mm_load_ss(values + (uint32_t)b), 0x20);
    return (cg_f4)_mm_insert_ps(v, _mm_load_ss(values + (b >> 32)), 0x30);
}
#define cg_gather4 cg_gather4
CG_INLINE int cg_any_above16(const uint32_t *indices, uint32_t last) {
    const __m128i *p = (const __m128i *)indices;
    __m128i a = _mm_max_epu32(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
    __m128i b = _mm_max_epu32(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));
    __m128i limit = _mm_set1_epi32((int)last), most = _mm_max_epu32(_mm_max_epu32(a, b), limit);
    return _mm_movemask_epi8(_mm_cmpeq_epi32(most, limit)) != 0xFFFF;
}
#define cg_any_above16 cg_any_above16
#if defined(__AVX2__)
CG_INLINE cg_f8 cg_matches8(const uint32_t *a, const uint32_t *b, const float *weights) {
    /* The place in b, and a sign that tells place 0 from no match. */
    cg_u8 indices, found = {0};
    memcpy(&indices, a, sizeof indices);
    CG_UNROLL for (uint32_t i = 0; i < 8; i++) {
        cg_u8 index = b[i] - (cg_u8){0}, place = (i | 1u << 31) - (cg_u8){0};
        found |= (cg_u8)(indices == index) & place;
    }
    __m256 chosen = _mm256_permutevar8x32_ps(_mm256_loadu_ps(weights), (__m256i)found);
    __m256i matches = _mm256_srai_epi32((__m256i)found, 31);
    return (cg_f8)_mm256_and_ps(chosen, (__m256)matches);
}
#else
CG_INLINE cg_f8 cg_matches8(const uint32_t *a, const uint32_t *b, const float *weights) {
    const __m128i low = _mm_loadu_si128((const __m128i *)a);
    const __m128i high = _mm_loadu_si128((const __m128i *)(a + 4));
    __m128 found[2] = {_mm_setzero_ps(), _mm_setzero_ps()};
    CG_UNROLL for (int i = 0; i < 8; i++) {
        __m128i index = _mm_set1_epi32((int)b[i]);
        __m128 weight = _mm_set1_ps(weights[i]);
        __m128 at_low = _mm_and_ps((__m128)_mm_cmpeq_epi32(low, index), weight);
        __m128 at_high = _mm_and_ps((__m128)_mm_cmpeq_epi32(high, index), weight);
        found[0] = _mm_or_ps(found[0], at_low);
        found[1] = _mm_or_ps(found[1], at_high);
    }
    cg_f8 matched;
    memcpy(&matched, found, sizeof matched);
    return matched;
}
#endif
#define cg_matches8 cg_matches8
/* In assembly, because compilers prefer a branch here, which would be mispredicted every other
   time. */
CG_INLINE intptr_t cg_step8(uint32_t last, uint32_t other) {
    intptr_t step = 8;
    __asm__("cmpl %1, %2\n\tcmova %3, %0"
            : "+r"(step) : "r"(other), "r"(last), "r"((intptr_t)0) : "cc");
    return step;
}
#define cg_step8 cg_step8

#endif
