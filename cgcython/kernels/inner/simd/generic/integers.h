/* Products of bytes and of 16-bit numbers, their sums, and numbers made wider. */
#ifndef CGCYTHON_GENERIC_INTEGERS_H
#define CGCYTHON_GENERIC_INTEGERS_H

/* Of each pair of 16-bit numbers, which share a lane: the first, in the lower half, and the other. */
CG_INLINE cg_vi cg_first_shorts(cg_vi v) { return (cg_vi)((cg_vu)v << 16) >> 16; }
CG_INLINE cg_vi cg_other_shorts(cg_vi v) { return v >> 16; }

/* sum + a[2i] * b[2i] + a[2i + 1] * b[2i + 1] in each lane i, of 16-bit numbers. */
#ifndef cg_add_products
CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    return sum + cg_first_shorts(a) * cg_first_shorts(b) + cg_other_shorts(a) * cg_other_shorts(b);
}
#endif

/* sum + the four products in each lane of bytes, those of `a` without a sign. Where the processor
   has no such instruction, kernels take cg_byte_pairs or cg_add_products. */
#ifndef CG_HAS_BYTE_DOTS
#define CG_HAS_BYTE_DOTS 0
#endif
#ifndef cg_add_byte_dots
CG_INLINE cg_vi cg_add_byte_dots(cg_vi sum, cg_vi a, cg_vi b) {
    cg_vi low = a & 0x00FF00FF, high = (cg_vi)((cg_vu)a >> 8) & 0x00FF00FF;
    cg_vi b_low = (cg_vi)((cg_vs)((cg_vw)b << 8) >> 8), b_high = (cg_vi)((cg_vs)b >> 8);
    return cg_add_products(cg_add_products(sum, low, b_low), high, b_high);
}
#endif
/* The sums of two products each of bytes, those of `a` without a sign; they fit 16 bits. */
#ifndef cg_byte_pairs
CG_INLINE cg_vs cg_byte_pairs(cg_vc a, cg_vc b) {
    cg_vs low = (cg_vs)((cg_vw)a & 255), high = (cg_vs)((cg_vw)a >> 8);
    return low * ((cg_vs)((cg_vw)b << 8) >> 8) + high * ((cg_vs)b >> 8);
}
#endif

/* Bytes, two per lane, as 16-bit numbers. */
#ifndef cg_load_shorts
CG_INLINE cg_vi cg_load_shorts(const int8_t *p) {
    CG_VECTOR(int8_t, CG_VECTOR_BYTES / 2) bytes;
    memcpy(&bytes, p, sizeof bytes);
    return (cg_vi)cg_convert(bytes, cg_vs);
}
#endif

/* The sum of all lanes. */
#ifndef cg_sum_i
CG_INLINE int32_t cg_sum_i(cg_vi v) {
    uint32_t sum = 0;
    CG_UNROLL for (int i = 0; i < CG_LANES; i++) sum += (uint32_t)v[i];
    return (int32_t)sum;
}
#endif
#ifndef cg_sum_q
CG_INLINE uint64_t cg_sum_q(cg_vq v) {
    uint64_t sum = 0;
    CG_UNROLL for (int i = 0; i < CG_LANES / 2; i++) sum += v[i];
    return sum;
}
#endif

/* By how much CG_LANES 16-bit numbers lie above `low`, or 0, up to `high`. */
#ifndef cg_between
typedef cg_vu cg_words;
CG_INLINE cg_words cg_set_words(uint16_t x) { return cg_set_u(x); }
CG_INLINE cg_vu cg_between(const uint16_t *p, cg_words low, cg_words high) {
    cg_lane_words words;
    memcpy(&words, p, sizeof words);
    cg_vu v = cg_convert(words, cg_vu);
    v = cg_select((cg_vu)(v < high), v, high);
    return (v - low) & (cg_vu)(v > low);
}
#endif
/* One bit for each of CG_LANES 16-bit numbers, and for each lane. */
#ifndef cg_words_above
CG_INLINE uint32_t cg_words_above(const uint16_t *a, const uint16_t *b) {
    uint32_t bits = 0;
    CG_UNROLL for (int i = 0; i < CG_LANES; i++) bits |= (uint32_t)(a[i] > b[i]) << i;
    return bits;
}
#endif
#ifndef cg_equal
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) { return cg_lane_bits((cg_vi)(a == b)); }
#endif

/* CG_VECTOR_BYTES / 8 bytes, each eight times. */
#ifndef cg_spread8
CG_INLINE cg_vq cg_spread8(const uint8_t *p) {
    cg_vq v;
    CG_UNROLL for (int i = 0; i < CG_VECTOR_BYTES / 8; i++) v[i] = p[i] * 0x0101010101010101U;
    return v;
}
#endif

/* Eight rows of eight 16-bit numbers become columns: rows four apart are interleaved, three times.
   Rows lie `stride` numbers apart in `from` and in `to`. */
typedef CG_VECTOR(uint16_t, 16) cg_w8;
CG_INLINE void cg_interleave8(const cg_w8 *a, cg_w8 *b) {
    CG_UNROLL for (int t = 0; t < 4; t++) {
        b[2 * t] = CG_SHUFFLE(a[t], a[t + 4], 0, 8, 1, 9, 2, 10, 3, 11);
        b[2 * t + 1] = CG_SHUFFLE(a[t], a[t + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
}
CG_INLINE void cg_transpose8(const uint16_t *from, uint16_t *to, ptrdiff_t stride) {
    cg_w8 a[8], b[8];
    CG_UNROLL for (int t = 0; t < 8; t++) memcpy(&a[t], from + t * stride, sizeof a[t]);
    cg_interleave8(a, b);
    cg_interleave8(b, a);
    cg_interleave8(a, b);
    CG_UNROLL for (int t = 0; t < 8; t++) memcpy(to + t * stride, &b[t], sizeof b[t]);
}

#endif
