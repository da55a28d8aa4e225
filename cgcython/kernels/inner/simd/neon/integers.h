/* Products of bytes and of 16-bit numbers, and their sums. */
#ifndef CGCYTHON_NEON_INTEGERS_H
#define CGCYTHON_NEON_INTEGERS_H

CG_INLINE cg_vi cg_add_products(cg_vi sum, cg_vi a, cg_vi b) {
    int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y)), high = vmull_high_s16(x, y);
    return (cg_vi)vaddq_s32((int32x4_t)sum, vpaddq_s32(low, high));
}
#define cg_add_products cg_add_products

#if defined(__ARM_FEATURE_MATMUL_INT8)
#define CG_HAS_BYTE_DOTS 1
CG_INLINE cg_vi cg_add_byte_dots(cg_vi sum, cg_vi a, cg_vi b) {
    return (cg_vi)vusdotq_s32((int32x4_t)sum, (uint8x16_t)a, (int8x16_t)b);
}
#define cg_add_byte_dots cg_add_byte_dots
#elif defined(__ARM_FEATURE_DOTPROD)
#define CG_HAS_BYTE_DOTS 1
/* Both with a sign: a is 128 too low, which 128 times the sum of b makes up for. */
CG_INLINE cg_vi cg_add_byte_dots(cg_vi sum, cg_vi a, cg_vi b) {
    int8x16_t signed_a = (int8x16_t)veorq_u8((uint8x16_t)a, vdupq_n_u8(0x80));
    int32x4_t of_b = vdotq_s32(vdupq_n_s32(0), vdupq_n_s8(64), (int8x16_t)b);
    int32x4_t dot = vdotq_s32((int32x4_t)sum, signed_a, (int8x16_t)b);
    return (cg_vi)vaddq_s32(dot, vaddq_s32(of_b, of_b));
}
#define cg_add_byte_dots cg_add_byte_dots
#endif

CG_INLINE int32_t cg_sum_i(cg_vi v) { return vaddvq_s32((int32x4_t)v); }
#define cg_sum_i cg_sum_i
CG_INLINE uint64_t cg_sum_q(cg_vq v) { return vaddvq_u64((uint64x2_t)v); }
#define cg_sum_q cg_sum_q
typedef uint16x4_t cg_words;
CG_INLINE cg_words cg_set_words(uint16_t x) { return vdup_n_u16(x); }
CG_INLINE cg_vu cg_between(const uint16_t *p, cg_words low, cg_words high) {
    return (cg_vu)vmovl_u16(vqsub_u16(vmin_u16(vld1_u16(p), high), low));
}
#define cg_between cg_between
CG_INLINE uint32_t cg_words_above(const uint16_t *a, const uint16_t *b) {
    uint16x4_t above = vcgt_u16(vld1_u16(a), vld1_u16(b));
    const uint16x4_t lanes = {1, 2, 4, 8};
    return vaddv_u16(vand_u16(above, lanes));
}
#define cg_words_above cg_words_above
CG_INLINE uint32_t cg_equal(cg_vu a, cg_vu b) { return cg_neon_bits((uint32x4_t)(a == b)); }
#define cg_equal cg_equal

#endif
