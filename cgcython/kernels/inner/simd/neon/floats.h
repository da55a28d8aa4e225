/* Comparisons, extremes, sums over lanes, and partners of lanes. */
#ifndef CGCYTHON_NEON_FLOATS_H
#define CGCYTHON_NEON_FLOATS_H

CG_INLINE uint32_t cg_neon_bits(uint32x4_t all_or_none) {
    const uint32x4_t lanes = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(all_or_none, lanes));
}
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) {
    return cg_neon_bits(vcgtq_f32((float32x4_t)a, (float32x4_t)b));
}
#define cg_above cg_above
CG_INLINE uint32_t cg_at_least(cg_vf a, cg_vf b) {
    return cg_neon_bits(vcgeq_f32((float32x4_t)a, (float32x4_t)b));
}
#define cg_at_least cg_at_least
CG_INLINE uint32_t cg_unordered(cg_vf a, cg_vf b) {
    return vmaxvq_u32((uint32x4_t)((a != a) | (b != b)));
}
#define cg_unordered cg_unordered
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) {
    return (cg_vu)vmaxq_u32((uint32x4_t)a, (uint32x4_t)b);
}
#define cg_max_u cg_max_u
CG_INLINE uint32_t cg_top_u(cg_vu a) { return vmaxvq_u32((uint32x4_t)a); }
#define cg_top_u cg_top_u
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    uint16x8_t ab = vuzp1q_u16((uint16x8_t)a, (uint16x8_t)b);
    uint16x8_t cd = vuzp1q_u16((uint16x8_t)c, (uint16x8_t)d);
    vst1q_u8(p, vuzp1q_u8((uint8x16_t)ab, (uint8x16_t)cd));
}
#define cg_store_bytes4 cg_store_bytes4
CG_INLINE float cg_lowest(cg_vf v) { return vminvq_f32((float32x4_t)v); }
#define cg_lowest cg_lowest
CG_INLINE cg_vi cg_nearest(cg_vf v) { return (cg_vi)vcvtnq_s32_f32((float32x4_t)v); }
#define cg_nearest cg_nearest
CG_INLINE cg_vf cg_swap1(cg_vf x) { return (cg_vf)vrev64q_f32((float32x4_t)x); }
#define cg_swap1 cg_swap1
CG_INLINE cg_vf cg_swap2(cg_vf x) {
    return (cg_vf)vextq_f32((float32x4_t)x, (float32x4_t)x, 2);
}
#define cg_swap2 cg_swap2

#endif
