/* Narrow floats: E4M3, float16, bfloat16, and how floats round. */
#ifndef CGCYTHON_GENERIC_HALVES_H
#define CGCYTHON_GENERIC_HALVES_H

/* The exact values of CG_LANES E4M3 codes. */
#ifndef cg_load_e4m3
CG_INLINE cg_vf cg_load_e4m3(const uint8_t *codes) {
    cg_vu code = cg_load_bytes(codes), size = (code & 0x7F) << 20, sign = (code & 0x80) << 24;
    /* Subnormals: as if normal, with one power more, less that power. */
    cg_vf tiny = cg_floats(size + (121 << 23)) - cg_floats(cg_set_u(121 << 23));
    cg_vu is_tiny = cg_below(size, cg_set_u(1 << 23));
    cg_vu is_nan = cg_below(cg_set_u(0x7E << 20), size) & 0x7FC00000;
    return cg_floats(cg_select(is_tiny, cg_bits(tiny), size + (120 << 23)) | is_nan | sign);
}
#endif

/* Four vectors to 4 * CG_LANES bytes in order: the lowest of each lane of `sizes` less the bias,
   and the highest bit of each lane of `signs`. */
#ifndef cg_store_signed4
CG_INLINE void cg_store_signed4(uint8_t *p, const cg_vu *sizes, uint8_t bias, const cg_vu *signs) {
    cg_vu b[4];
    CG_UNROLL for (int i = 0; i < 4; i++)
        b[i] = ((sizes[i] - bias) & 0xFF) | (signs[i] >> 24 & 0x80);
    cg_store_bytes4(p, b[0], b[1], b[2], b[3]);
}
#endif

/* CG_LANES floats to float16 and back. Only sizes below 65520 are rounded, only finite halves are
   widened. */
#ifndef cg_round_halves
CG_INLINE void cg_round_halves(const float *p, uint8_t *to) {
    cg_vu bits = cg_bits(cg_load(p)), size = bits & 0x7FFFFFFFu;
    /* Ties to even: just under half a unit, plus one when the kept bit is odd. */
    cg_vu normal = (size - (112u << 23) + 0xFFFu + (size >> 13 & 1u)) >> 13;
    /* The unit of a float at 0.5 is 2**-24, that of a subnormal half: adding rounds for us. */
    cg_vf half = cg_set(0.5f);
    cg_vu tiny = cg_bits(cg_floats(size) + half) - cg_bits(half);
    size = cg_select(cg_below(size, cg_set_u(113u << 23)), tiny, normal);
    cg_lane_words halves = cg_convert(size | (bits >> 16 & 0x8000u), cg_lane_words);
    memcpy(to, &halves, sizeof halves);
}
#endif
#ifndef cg_widen_halves
CG_INLINE void cg_widen_halves(const uint8_t *p, float *to) {
    cg_lane_words halves;
    memcpy(&halves, p, sizeof halves);
    cg_vu half = cg_convert(halves, cg_vu), size = (half & 0x7FFFu) << 13;
    cg_vu least = cg_set_u(113u << 23);
    cg_vf tiny = cg_floats(size + least) - cg_floats(least);
    cg_vu is_tiny = cg_below(size, cg_set_u(1u << 23));
    size = cg_select(is_tiny, cg_bits(tiny), size + (112u << 23));
    cg_store(to, cg_floats(size | (half & 0x8000u) << 16));
}
#endif

/* The bfloat16 nearest to each number, in the upper half of its lane. */
CG_INLINE cg_vu cg_round_bf16(cg_vf v) {
    cg_vu bits = cg_bits(v), size = bits & 0x7FFFFFFF;
    bits += 0x7FFF + (bits >> 16 & 1);
    return bits & ~cg_below(size, cg_set_u(0x00800000)) & 0xFFFF0000U;
}

/* bfloat16 to floats and, ties to even, back; a NaN stays one. */
CG_INLINE float cg_wide(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
CG_INLINE uint16_t cg_half(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t rounded = bits + 0x7FFF + (bits >> 16 & 1);
    return ((bits & 0x7FFFFFFF) > 0x7F800000 ? bits | 0x400000 : rounded) >> 16;
}

/* bfloat16 in pairs, the even element in the lower half of a lane. */
CG_INLINE cg_vu cg_load_pairs(const uint16_t *p) { cg_vu v; memcpy(&v, p, sizeof v); return v; }
#ifndef cg_odd_halves
CG_INLINE cg_vf cg_odd_halves(cg_vu pairs) { return cg_floats(pairs & 0xFFFF0000U); }
#endif
CG_INLINE cg_vf cg_even_halves(cg_vu pairs) { return cg_floats(pairs << 16); }

/* sum + the product of the odd elements, rounded, + that of the even ones, rounded: what the dot
   product of AVX-512-BF16 computes, which takes and leaves no denormals. */
#ifndef CG_HAS_HALF_DOTS
#define CG_HAS_HALF_DOTS 0
#endif
#ifndef cg_half_dots
CG_INLINE cg_vf cg_half_dots(cg_vf sum, cg_vu a, cg_vu b) {
    sum += cg_odd_halves(a) * cg_odd_halves(b);
    CG_PIN(sum);
    return sum + cg_even_halves(a) * cg_even_halves(b);
}
#endif

/* The sums of the lanes, in any order, of one vector and of each of four. */
#ifndef cg_sum_lanes
CG_INLINE float cg_sum_lanes(cg_vf v) {
    float sum = v[0];
    CG_UNROLL for (int i = 1; i < CG_LANES; i++) sum += v[i];
    return sum;
}
#endif
#ifndef cg_sums4
CG_INLINE cg_f4 cg_sums4(cg_vf a, cg_vf b, cg_vf c, cg_vf d) {
    return (cg_f4){cg_sum_lanes(a), cg_sum_lanes(b), cg_sum_lanes(c), cg_sum_lanes(d)};
}
#endif

/* How floats round: to nearest even, with denormals (CG_KEEP) or flushing them (CG_FLUSH); where
   no instruction is known that flushes them, they stay. */
#ifndef cg_set_rounding
#define CG_KEEP 0U
#define CG_FLUSH 1U
CG_INLINE uint32_t cg_get_rounding(void) { return CG_KEEP; }
CG_INLINE void cg_set_rounding(uint32_t mode) { (void)mode; }
#endif

#endif
