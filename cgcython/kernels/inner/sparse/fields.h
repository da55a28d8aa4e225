/* Inner tiles of the sparse kernels: bit fields eight at a time, float16. */
#ifndef CGCYTHON_SPARSE_H
#define CGCYTHON_SPARSE_H

#include "inner/simd/vector.h"

CG_INLINE uint16_t cg_read16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
CG_INLINE uint32_t cg_read32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
CG_INLINE uint64_t cg_read64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return v; }
CG_INLINE void cg_write32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
CG_INLINE void cg_write64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

/* Eight u32 at every level: eight bit fields fill whole bytes. */
typedef uint32_t cg_v8 __attribute__((vector_size(32)));

CG_INLINE cg_v8 cg_load8(const uint32_t *p) { cg_v8 v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store8(uint32_t *p, cg_v8 v) { memcpy(p, &v, sizeof v); }

CG_INLINE cg_v8 cg_count8(uint32_t first) { return (cg_v8){0, 1, 2, 3, 4, 5, 6, 7} + first; }

/* Writes the places of the ones among CG_PLACES bits, then anything up to a whole vector; `first` is
   the place of the lowest bit. Returns how many ones there are. */
#if defined(__AVX512F__)
enum { CG_PLACES = 16 };
CG_INLINE intptr_t cg_store_places(uint32_t *to, const uint8_t *bits, uint32_t first) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint16_t ones;
    memcpy(&ones, bits, sizeof ones);
    __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)first));
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(ones, places));
    return __builtin_popcount(ones);
}
#else
enum { CG_PLACES = 8 };
static uint8_t cg_places[256][8]; /* of the ones in each byte */

__attribute__((constructor)) static void cg_fill_places(void) {
    for (int byte = 0; byte < 256; byte++)
        for (int bit = 0, rank = 0; bit < 8; bit++)
            if (byte >> bit & 1) cg_places[byte][rank++] = (uint8_t)bit;
}
CG_INLINE intptr_t cg_store_places(uint32_t *to, const uint8_t *bits, uint32_t first) {
    __m128i places = _mm_loadl_epi64((const __m128i *)cg_places[*bits]);
#if defined(__AVX2__)
    cg_v8 v = (cg_v8)_mm256_cvtepu8_epi32(places); /* gcc converts vectors of eight one by one */
#else
    cg_v8 v;
    __m128i halves[] = {_mm_cvtepu8_epi32(places), _mm_cvtepu8_epi32(_mm_srli_si128(places, 4))};
    memcpy(&v, halves, sizeof v);
#endif
    cg_store8(to, v + first);
    return __builtin_popcount(*bits);
}
#endif

/* Eight fields of `width` <= 8 bits to and from as many lanes; cg_fields tells where they lie. */
#if defined(__AVX512VL__)
/* The fields' bits within eight bytes. Some processors without AVX-512 take hundreds of cycles to
   gather bits. */
typedef uint64_t cg_fields;
CG_INLINE cg_fields cg_fields_of(uint32_t width) { return ~0ull / 255 * ((1u << width) - 1); }
CG_INLINE cg_v8 cg_unpack8(uint64_t packed, cg_fields fields, uint32_t width) {
    (void)width;
    __m128i bytes = _mm_cvtsi64_si128((long long)_pdep_u64(packed, fields));
    return (cg_v8)_mm256_cvtepu8_epi32(bytes);
}
CG_INLINE uint64_t cg_pack8(cg_v8 values, cg_fields fields, uint32_t width) {
    (void)width;
    __m128i bytes = _mm256_cvtepi32_epi8((__m256i)values);
    return _pext_u64((uint64_t)_mm_cvtsi128_si64(bytes), fields);
}
#else
/* How far each is shifted: four fill at most one lane. */
typedef cg_v8 cg_fields;
CG_INLINE cg_fields cg_fields_of(uint32_t width) {
    return (cg_v8){0, 1, 2, 3, 0, 1, 2, 3} * width;
}
CG_INLINE cg_v8 cg_unpack8(uint64_t packed, cg_fields shifts, uint32_t width) {
    uint32_t a = (uint32_t)packed, b = (uint32_t)(packed >> 4 * width);
    return ((cg_v8){a, a, a, a, b, b, b, b} >> shifts) & ((1u << width) - 1);
}
CG_INLINE uint64_t cg_pack8(cg_v8 values, cg_fields shifts, uint32_t width) {
    cg_v8 v = (values & ((1u << width) - 1)) << shifts;
    v |= __builtin_shuffle(v, (cg_v8){2, 3, 0, 1, 6, 7, 4, 5});
    v |= __builtin_shuffle(v, (cg_v8){1, 0, 3, 2, 5, 4, 7, 6});
    return v[0] | (uint64_t)v[4] << 4 * width;
}
#endif

/* Bit i of the result is set where byte i is 1; all bytes are 0 or 1. */
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

/* Float16, a vector of CG_LANES at a time. Only weights below 65520 are rounded, only finite
   halves are widened. */
typedef uint16_t cg_half_words __attribute__((vector_size(CG_VECTOR_BYTES / 2)));

CG_INLINE cg_vu cg_load_halves(const uint8_t *p) {
    cg_half_words h; memcpy(&h, p, sizeof h); return __builtin_convertvector(h, cg_vu);
}
CG_INLINE void cg_store_halves(uint8_t *p, cg_vu v) {
    cg_half_words h = __builtin_convertvector(v, cg_half_words); memcpy(p, &h, sizeof h);
}

#if defined(__AVX512F__)
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    _mm256_storeu_si256((__m256i *)to, _mm512_cvtps_ph(_mm512_loadu_ps(p), 8));
}
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    _mm512_storeu_ps(to, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)));
}
#elif defined(__F16C__)
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    _mm_storeu_si128((__m128i *)to, _mm256_cvtps_ph(_mm256_loadu_ps(p), 8));
}
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)));
}
#else
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    cg_vu bits = cg_bits(cg_load(p)), size = bits & 0x7FFFFFFFu;
    /* Ties to even: just under half a unit, plus one when the kept bit is odd. */
    cg_vu normal = (size - (112u << 23) + 0xFFFu + (size >> 13 & 1u)) >> 13;
    /* The unit of a float at 0.5 is 2**-24, that of a subnormal half: adding rounds for us. */
    cg_vf half = cg_set(0.5f);
    cg_vu tiny = cg_bits(cg_floats(size) + half) - cg_bits(half);
    size = cg_select(cg_below(size, cg_set_u(113u << 23)), tiny, normal);
    cg_store_halves(to, size | (bits >> 16 & 0x8000u));
}
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    cg_vu half = cg_load_halves(p), size = (half & 0x7FFFu) << 13;
    cg_vu least = cg_set_u(113u << 23);
    cg_vf tiny = cg_floats(size + least) - cg_floats(least);
    cg_vu is_tiny = cg_below(size, cg_set_u(1u << 23));
    size = cg_select(is_tiny, cg_bits(tiny), size + (112u << 23));
    cg_store(to, cg_floats(size | (half & 0x8000u) << 16));
}
#endif

/* Four values of a query by index. Single loads: gather instructions are no faster where they are
   fast, and many times slower on processors that must guard them. */
typedef float cg_f4 __attribute__((vector_size(16)));

CG_INLINE cg_f4 cg_load4(const float *p) { return (cg_f4)_mm_loadu_ps(p); }
CG_INLINE void cg_store4(float *p, cg_f4 v) { _mm_storeu_ps(p, (__m128)v); }
CG_INLINE cg_f4 cg_gather4(const float *query, const uint32_t *indices) {
    uint64_t a, b;
    memcpy(&a, indices, 8);
    memcpy(&b, indices + 2, 8);
    __m128 v = _mm_load_ss(query + (uint32_t)a);
    v = _mm_insert_ps(v, _mm_load_ss(query + (a >> 32)), 0x10);
    v = _mm_insert_ps(v, _mm_load_ss(query + (uint32_t)b), 0x20);
    return (cg_f4)_mm_insert_ps(v, _mm_load_ss(query + (b >> 32)), 0x30);
}
CG_INLINE int cg_any_above16(const uint32_t *indices, uint32_t last) {
    const __m128i *p = (const __m128i *)indices;
    __m128i a = _mm_max_epu32(_mm_loadu_si128(p), _mm_loadu_si128(p + 1));
    __m128i b = _mm_max_epu32(_mm_loadu_si128(p + 2), _mm_loadu_si128(p + 3));
    __m128i limit = _mm_set1_epi32((int)last), most = _mm_max_epu32(_mm_max_epu32(a, b), limit);
    return _mm_movemask_epi8(_mm_cmpeq_epi32(most, limit)) != 0xFFFF;
}

/* Whether any of sixteen indices falls into a marked slot: a mark is 1, and an index has the slot of
   its lowest bits, those of the mask. */
CG_INLINE int cg_any_marked16(const uint8_t *marks, uint32_t mask, const uint32_t *indices) {
    unsigned any = 0;
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        uint64_t two;
        memcpy(&two, indices + i, sizeof two);
        any |= marks[two & mask] | marks[two >> 32 & mask];
    }
    return any;
}

/* Fetch what the second cache shall hold, and not the first. */
CG_INLINE void cg_prefetch_second(const void *p) { __builtin_prefetch(p, 0, 2); }

/* Eight sums of products: lane i adds the weight at a[i] times the one at the same index of b.
   Indices differ within a and within b. */
typedef float cg_f8 __attribute__((vector_size(32)));

CG_INLINE cg_f8 cg_load_f8(const float *p) { cg_f8 v; memcpy(&v, p, sizeof v); return v; }
CG_INLINE void cg_store_f8(float *p, cg_f8 v) { memcpy(p, &v, sizeof v); }
#if defined(__AVX2__)
CG_INLINE cg_f8 cg_add_matches(
    const uint32_t *a, const float *a_weights, const uint32_t *b, const float *b_weights, cg_f8 sums
) {
    /* The place in b, and a sign that tells place 0 from no match. */
    cg_v8 indices = cg_load8(a), found = {0};
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++) {
        cg_v8 index = b[i] - (cg_v8){0}, place = (i | 1u << 31) - (cg_v8){0};
        found |= (cg_v8)(indices == index) & place;
    }
    __m256 weights = _mm256_permutevar8x32_ps(_mm256_loadu_ps(b_weights), (__m256i)found);
    __m256i matches = _mm256_srai_epi32((__m256i)found, 31);
    return cg_load_f8(a_weights) * (cg_f8)_mm256_and_ps(weights, (__m256)matches) + sums;
}
#else
CG_INLINE cg_f8 cg_add_matches(
    const uint32_t *a, const float *a_weights, const uint32_t *b, const float *b_weights, cg_f8 sums
) {
    const __m128i low = _mm_loadu_si128((const __m128i *)a);
    const __m128i high = _mm_loadu_si128((const __m128i *)(a + 4));
    __m128 weights[2] = {_mm_setzero_ps(), _mm_setzero_ps()};
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        __m128i index = _mm_set1_epi32((int)b[i]);
        __m128 weight = _mm_set1_ps(b_weights[i]);
        __m128 at_low = _mm_and_ps((__m128)_mm_cmpeq_epi32(low, index), weight);
        __m128 at_high = _mm_and_ps((__m128)_mm_cmpeq_epi32(high, index), weight);
        weights[0] = _mm_or_ps(weights[0], at_low);
        weights[1] = _mm_or_ps(weights[1], at_high);
    }
    cg_f8 matched;
    memcpy(&matched, weights, sizeof matched);
    return cg_load_f8(a_weights) * matched + sums;
}
#endif
/* 8 if last <= other, else 0. In assembly, because compilers prefer a branch here, which would be
   mispredicted every other time. */
CG_INLINE intptr_t cg_step8(uint32_t last, uint32_t other) {
    intptr_t step = 8;
    __asm__("cmpl %1, %2\n\tcmova %3, %0"
            : "+r"(step) : "r"(other), "r"(last), "r"((intptr_t)0) : "cc");
    return step;
}

#endif
