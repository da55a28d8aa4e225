/* Bytes and bits: tables, counts, few values from many. */
#ifndef CGCYTHON_NEON_BYTES_H
#define CGCYTHON_NEON_BYTES_H

CG_INLINE cg_vc cg_table16(const uint8_t *table, cg_vc places) {
    uint8x16_t at = vandq_u8((uint8x16_t)places, vdupq_n_u8(0x8F)); /* beyond 15 gives 0 */
    return (cg_vc)vqtbl1q_u8(vld1q_u8(table), at);
}
#define cg_table16 cg_table16
#define CG_HAS_WIDE_TABLES 1
CG_INLINE cg_vc cg_table128(const uint8_t *table, cg_vc places) {
    uint8x16_t at = vandq_u8((uint8x16_t)places, vdupq_n_u8(0x7F));
    uint8x16_t found = vqtbl4q_u8(vld1q_u8_x4(table), at);
    return (cg_vc)vqtbx4q_u8(found, vld1q_u8_x4(table + 64), veorq_u8(at, vdupq_n_u8(0x40)));
}
#define cg_table128 cg_table128
CG_INLINE cg_vc cg_join_low(cg_vc a, cg_vc b) {
    return (cg_vc)vzip1q_u8((uint8x16_t)a, (uint8x16_t)b);
}
#define cg_join_low cg_join_low
CG_INLINE cg_vc cg_join_high(cg_vc a, cg_vc b) {
    return (cg_vc)vzip2q_u8((uint8x16_t)a, (uint8x16_t)b);
}
#define cg_join_high cg_join_high
CG_INLINE cg_vc cg_add_up_to_255(cg_vc a, cg_vc b) {
    return (cg_vc)vqaddq_u8((uint8x16_t)a, (uint8x16_t)b);
}
#define cg_add_up_to_255 cg_add_up_to_255
CG_INLINE cg_vc cg_max_c(cg_vc a, cg_vc b) {
    return (cg_vc)vmaxq_u8((uint8x16_t)a, (uint8x16_t)b);
}
#define cg_max_c cg_max_c
CG_INLINE int cg_holds_byte(cg_vc v, uint8_t byte) {
    return vmaxvq_u8(vceqq_u8((uint8x16_t)v, vdupq_n_u8(byte))) != 0;
}
#define cg_holds_byte cg_holds_byte
CG_INLINE cg_vq cg_ones_q(cg_vc v) {
    return (cg_vq)vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(vcntq_u8((uint8x16_t)v))));
}
#define cg_ones_q cg_ones_q
CG_INLINE int cg_any_above16(const uint32_t *indices, uint32_t last) {
    uint32x4x4_t v = vld1q_u32_x4(indices);
    uint32x4_t a = vmaxq_u32(v.val[0], v.val[1]), b = vmaxq_u32(v.val[2], v.val[3]);
    return vmaxvq_u32(vmaxq_u32(a, b)) > last;
}
#define cg_any_above16 cg_any_above16

#endif
