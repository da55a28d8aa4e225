/* Narrow floats: E4M3, float16, and how floats round. */
#ifndef CGCYTHON_NEON_HALVES_H
#define CGCYTHON_NEON_HALVES_H

/* A code is a float16 with a shorter exponent and mantissa, so moving it into place and converting
   gives its value times 2**-8, subnormals included. */
CG_INLINE cg_vf cg_load_e4m3(const uint8_t *codes) {
    int32_t four;
    memcpy(&four, codes, sizeof four);
    int16x4_t half = vget_low_s16(vshll_n_s8(vreinterpret_s8_s32(vdup_n_s32(four)), 7));
    /* Bit 14 repeats the sign; it must be 0, or 1 where all bits of the size are (NaN). */
    uint16x4_t bits = vreinterpret_u16_s16(half), size = vand_u16(bits, vdup_n_u16(0x3F80));
    uint16x4_t carry = vadd_u16(size, vdup_n_u16(0x0080));
    bits = vbsl_u16(vdup_n_u16(0x4000), carry, bits);
    return (cg_vf)vcvt_f32_f16(vreinterpret_f16_u16(bits)) * 256;
}
#define cg_load_e4m3 cg_load_e4m3
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    vst1_u8(to, vreinterpret_u8_f16(vcvt_f16_f32(vld1q_f32(p))));
}
#define cg_round_halves cg_round_halves
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    vst1q_f32(to, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))));
}
#define cg_widen_halves cg_widen_halves

/* To nearest even, with denormals or flushing them. */
#define CG_KEEP 0U
#define CG_FLUSH (1U << 24)
CG_INLINE uint32_t cg_get_rounding(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return (uint32_t)mode;
}
CG_INLINE void cg_set_rounding(uint32_t mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode) : "memory");
}
#define cg_set_rounding cg_set_rounding

#endif
