/* Comparisons, extremes, sums over lanes, partners of lanes, and stores around the caches. */
#ifndef CGCYTHON_GENERIC_FLOATS_H
#define CGCYTHON_GENERIC_FLOATS_H

/* One bit per lane of a comparison, the first in the lowest. */
CG_INLINE uint32_t cg_lane_bits(cg_vi all_or_none) {
    uint32_t bits = 0;
    CG_UNROLL for (int i = 0; i < CG_LANES; i++) bits |= (uint32_t)all_or_none[i] & 1u << i;
    return bits;
}

/* CG_LANES bytes as whole numbers, and back: cut off. */
#ifndef cg_load_bytes
CG_INLINE cg_vu cg_load_bytes(const uint8_t *p) {
    cg_lane_bytes b;
    memcpy(&b, p, sizeof b);
    return cg_convert(b, cg_vu);
}
#endif
#ifndef cg_store_bytes
CG_INLINE void cg_store_bytes(uint8_t *p, cg_vu v) {
    cg_lane_bytes b = cg_convert(v, cg_lane_bytes);
    memcpy(p, &b, sizeof b);
}
#endif
/* Four vectors of numbers below 256 become 4 * CG_LANES bytes in order. */
#ifndef cg_store_bytes4
CG_INLINE void cg_store_bytes4(uint8_t *p, cg_vu a, cg_vu b, cg_vu c, cg_vu d) {
    cg_store_bytes(p, a);
    cg_store_bytes(p + CG_LANES, b);
    cg_store_bytes(p + 2 * CG_LANES, c);
    cg_store_bytes(p + 3 * CG_LANES, d);
}
#endif

/* Maximum and minimum are b where either is NaN; a comparison gives one bit per lane, 0 where
   either is NaN. */
#ifndef cg_max
CG_INLINE cg_vf cg_max(cg_vf a, cg_vf b) {
    return cg_floats(cg_select((cg_vu)(a > b), cg_bits(a), cg_bits(b)));
}
#endif
#ifndef cg_min
CG_INLINE cg_vf cg_min(cg_vf a, cg_vf b) {
    return cg_floats(cg_select((cg_vu)(a < b), cg_bits(a), cg_bits(b)));
}
#endif
#ifndef cg_above
CG_INLINE uint32_t cg_above(cg_vf a, cg_vf b) { return cg_lane_bits(a > b); }
#endif
#ifndef cg_at_least
CG_INLINE uint32_t cg_at_least(cg_vf a, cg_vf b) { return cg_lane_bits(a >= b); }
#endif
#ifndef cg_unordered /* not 0 where a lane of either is NaN */
CG_INLINE uint32_t cg_unordered(cg_vf a, cg_vf b) { return cg_lane_bits((a != a) | (b != b)); }
#endif
#ifndef cg_max_u
CG_INLINE cg_vu cg_max_u(cg_vu a, cg_vu b) { return cg_select((cg_vu)(a > b), a, b); }
#endif
#ifndef cg_top_u
CG_INLINE uint32_t cg_top_u(cg_vu a) {
    uint32_t top = a[0];
    CG_UNROLL for (int i = 1; i < CG_LANES; i++) top = a[i] > top ? a[i] : top;
    return top;
}
#endif

/* The sum of sixteen: lanes i and i + 8, then 4, 2 and 1 apart. */
#ifndef cg_sum16
CG_INLINE float cg_sum16(cg_v16 a) {
    cg_vf four = (a.v0 + a.v2) + (a.v1 + a.v3);
    return (four[0] + four[2]) + (four[1] + four[3]);
}
#endif
#ifndef cg_lowest /* of all lanes, which are numbers */
CG_INLINE float cg_lowest(cg_vf v) {
    float low = v[0];
    CG_UNROLL for (int i = 1; i < CG_LANES; i++) low = v[i] < low ? v[i] : low;
    return low;
}
#endif
/* To the nearest whole numbers, ties to even, of sizes below 2**22. */
#ifndef cg_nearest
CG_INLINE cg_vi cg_nearest(cg_vf v) {
    cg_vf moved = v + 0x1.8p23f;
    return (cg_vi)moved - (cg_vi)cg_set(0x1.8p23f);
}
#endif

/* Each lane changes its place with the one 1, 2, 4 or 8 away. */
#ifndef cg_swap1
CG_INLINE cg_vf cg_swap1(cg_vf x) { return CG_SHUFFLE(x, x, 1, 0, 3, 2); }
#endif
#ifndef cg_swap2
CG_INLINE cg_vf cg_swap2(cg_vf x) { return CG_SHUFFLE(x, x, 2, 3, 0, 1); }
#endif

/* Results too large for any cache, written around the caches where that can be said. Other threads
   see ordinary stores in order; these only after the end. */
#ifndef cg_stream_floats
CG_INLINE void cg_stream_floats(float *to, cg_vf v) { cg_store(to, v); }
#endif
#ifndef cg_stream_end
CG_INLINE void cg_stream_end(void) {}
#endif

#endif
