/* Bytes and bits: tables, counts, fields of bits, places of ones, few values from many. */
#ifndef CGCYTHON_GENERIC_BYTES_H
#define CGCYTHON_GENERIC_BYTES_H

/* Entries of a table of 16 bytes by the four lowest bits of each place; 0 where its top bit is
   set. */
#ifndef cg_table16
CG_INLINE cg_vc cg_table16(const uint8_t *table, cg_vc places) {
    cg_vc found;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES; i++)
        found[i] = places[i] & 128 ? 0 : table[places[i] & 15];
    return found;
}
#endif
/* Entries of tables of 128 and of 256 bytes; of 128 by the seven lowest bits. */
#ifndef CG_HAS_WIDE_TABLES
#define CG_HAS_WIDE_TABLES 0
#endif
#ifndef cg_table128
CG_INLINE cg_vc cg_table128(const uint8_t *table, cg_vc places) {
    cg_vc found;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES; i++) found[i] = table[places[i] & 127];
    return found;
}
#endif
#ifdef cg_table256
#define CG_HAS_TABLES_OF_256 1
#else
#define CG_HAS_TABLES_OF_256 0
#endif

/* The lower, and the higher, halves of each 16 bytes of two vectors in turn; what vectors are put
   in before, so that both together leave them in their order. */
#ifndef cg_join_low
CG_INLINE cg_vc cg_join_low(cg_vc a, cg_vc b) {
    return CG_SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
#endif
#ifndef cg_join_high
CG_INLINE cg_vc cg_join_high(cg_vc a, cg_vc b) {
    return CG_SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#endif
#ifndef cg_before_join
CG_INLINE cg_vc cg_before_join(cg_vc v) { return v; }
#endif
/* Sixteen bytes, those of odd places first. */
typedef CG_VECTOR(uint8_t, 16) cg_b16;
CG_INLINE cg_b16 cg_odd_first(const uint8_t *p) {
    cg_b16 v;
    memcpy(&v, p, sizeof v);
    return CG_SHUFFLE(v, v, 1, 3, 5, 7, 9, 11, 13, 15, 0, 2, 4, 6, 8, 10, 12, 14);
}

#ifndef cg_add_up_to_255
CG_INLINE cg_vc cg_add_up_to_255(cg_vc a, cg_vc b) {
    cg_vc sum = a + b;
    return sum | (cg_vc)(sum < a);
}
#endif
#ifndef cg_max_c
CG_INLINE cg_vc cg_max_c(cg_vc a, cg_vc b) {
    cg_vc above = (cg_vc)(a > b);
    return (a & above) | (b & ~above);
}
#endif
#ifndef cg_holds_byte
CG_INLINE int cg_holds_byte(cg_vc v, uint8_t byte) {
    cg_vq same = (cg_vq)(cg_vc)(v == byte);
    uint64_t any = 0;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES / 8; i++) any |= same[i];
    return any != 0;
}
#endif
/* One bit for each byte that is below a limit. */
#ifndef cg_bytes_below
CG_INLINE uint64_t cg_bytes_below(cg_vc v, uint8_t limit) {
    uint64_t bits = 0;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES; i++) bits |= (uint64_t)(v[i] < limit) << i;
    return bits;
}
#endif
/* The first n bytes of a vector, and zeros behind them. */
#ifndef cg_load_part_c
CG_INLINE cg_vc cg_load_part_c(const void *p, ptrdiff_t n) {
    cg_vc v = {0};
    memcpy(&v, p, n < CG_VECTOR_BYTES ? (size_t)n : CG_VECTOR_BYTES);
    return v;
}
#endif

/* How many bits are set in each eight bytes. */
#ifndef cg_ones_q
CG_INLINE cg_vq cg_ones_q(cg_vc v) {
    cg_vq words = (cg_vq)v;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES / 8; i++) words[i] = (uint64_t)cg_ones(words[i]);
    return words;
}
#endif

/* Eight fields of `width` <= 8 bits to and from as many lanes; cg_fields tells where they lie. */
#ifndef cg_pack8
typedef cg_u8 cg_fields; /* how far each is shifted: four fill at most one lane */
CG_INLINE cg_fields cg_fields_of(uint32_t width) {
    return (cg_u8){0, 1, 2, 3, 0, 1, 2, 3} * width;
}
CG_INLINE cg_u8 cg_unpack8(uint64_t packed, cg_fields shifts, uint32_t width) {
    uint32_t a = (uint32_t)packed, b = (uint32_t)(packed >> 4 * width);
    return ((cg_u8){a, a, a, a, b, b, b, b} >> shifts) & ((1u << width) - 1);
}
CG_INLINE uint64_t cg_pack8(cg_u8 values, cg_fields shifts, uint32_t width) {
    cg_u8 v = (values & ((1u << width) - 1)) << shifts;
    v |= CG_SHUFFLE(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
    v |= CG_SHUFFLE(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
    return v[0] | (uint64_t)v[4] << 4 * width;
}
#endif
/* Bit i of the result is set where byte i is 1; all 64 bytes are 0 or 1. */
#ifndef cg_pack_bits
CG_INLINE uint64_t cg_pack_bits(const uint8_t *p) {
    uint64_t bits = 0, eight;
    CG_UNROLL for (int i = 0; i < 8; i++) {
        memcpy(&eight, p + 8 * i, 8);
        bits |= (eight * 0x0102040810204080U >> 56) << 8 * i;
    }
    return bits;
}
#endif
#ifndef cg_widen_u8 /* eight bytes as whole numbers */
CG_INLINE cg_u8 cg_widen_u8(const uint8_t *p) {
    return (cg_u8){p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]};
}
#endif
/* Writes the places of the ones among CG_PLACES bits, then anything up to a whole vector; `first` is
   the place of the lowest bit. Returns how many ones there are. */
#ifndef cg_store_places
enum { CG_PLACES = 8 };
#include "inner/simd/places.h"
CG_INLINE intptr_t cg_store_places(uint32_t *to, const uint8_t *bits, uint32_t first) {
    cg_u8 places = cg_widen_u8(cg_places_of[*bits]) + first;
    memcpy(to, &places, sizeof places);
    return cg_ones(*bits);
}
#endif

/* Four values by index. */
#ifndef cg_gather4
CG_INLINE cg_f4 cg_gather4(const float *values, const uint32_t *indices) {
    return (cg_f4){values[indices[0]], values[indices[1]], values[indices[2]], values[indices[3]]};
}
#endif
/* Whether any of sixteen is above the last. */
#ifndef cg_any_above16
CG_INLINE int cg_any_above16(const uint32_t *indices, uint32_t last) {
    uint32_t most = 0;
    CG_UNROLL for (int i = 0; i < 16; i++) most = indices[i] > most ? indices[i] : most;
    return most > last;
}
#endif
/* Of eight indices a, the weights that stand at the same index of b, or 0; they differ within a and
   within b. */
#ifndef cg_matches8
CG_INLINE cg_f8 cg_matches8(const uint32_t *a, const uint32_t *b, const float *weights) {
    cg_u8 indices, found = {0}, bits;
    cg_f8 some;
    memcpy(&indices, a, sizeof indices);
    CG_UNROLL for (int i = 0; i < 8; i++) {
        some = weights[i] - (cg_f8){0};
        bits = (cg_u8)some;
        found |= (cg_u8)(indices == b[i] - (cg_u8){0}) & bits;
    }
    return (cg_f8)found;
}
#endif
/* 8 if last <= other, else 0. */
#ifndef cg_step8
CG_INLINE intptr_t cg_step8(uint32_t last, uint32_t other) { return (intptr_t)(last <= other) << 3; }
#endif

/* Four rows of four become columns. */
CG_INLINE void cg_transpose4(cg_f4 *a, cg_f4 *b, cg_f4 *c, cg_f4 *d) {
    cg_f4 ab_low = CG_SHUFFLE(*a, *b, 0, 4, 1, 5);
    cg_f4 ab_high = CG_SHUFFLE(*a, *b, 2, 6, 3, 7);
    cg_f4 cd_low = CG_SHUFFLE(*c, *d, 0, 4, 1, 5);
    cg_f4 cd_high = CG_SHUFFLE(*c, *d, 2, 6, 3, 7);
    *a = CG_SHUFFLE(ab_low, cd_low, 0, 1, 4, 5);
    *b = CG_SHUFFLE(ab_low, cd_low, 2, 3, 6, 7);
    *c = CG_SHUFFLE(ab_high, cd_high, 0, 1, 4, 5);
    *d = CG_SHUFFLE(ab_high, cd_high, 2, 3, 6, 7);
}

#endif
