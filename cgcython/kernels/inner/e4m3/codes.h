/* E4M3 codes to floats and back. */
#ifndef CGCYTHON_E4M3_H
#define CGCYTHON_E4M3_H

#include "inner/simd/vector.h"

/* The exact values of sixteen codes. */
CG_INLINE cg_v16 cg_load16_e4m3(const uint8_t *codes) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_load_e4m3(codes + i * CG_LANES);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}

/* In its lowest byte, the code of a number up to 448 without its sign, plus CG_CODE_BIAS. */
#define CG_CODE_BIAS ((141 << 3) & 0xFF)
CG_INLINE cg_vu cg_code_of(cg_vu size) {
    /* Powers of two; at and below 2**-6 the unit of a code is 2**-9. */
    cg_vf power = cg_max(cg_floats(size & 0x7F800000), cg_set(0x1p-6f));
    /* 2**20 powers away a float's own unit is the code's unit, so this sum rounds as we need. */
    cg_vu sum = cg_bits(power * 0x1p20f + cg_floats(size));
    return sum + (sum >> 20);
}

/* The codes of 4 * CG_LANES numbers times a factor, at most 448 then. */
CG_INLINE void cg_encode_e4m3(const float *values, cg_vf factor, uint8_t *p) {
    cg_vu x[4], codes[4];
    CG_UNROLL for (int i = 0; i < 4; i++) {
        x[i] = cg_bits(cg_load(values + i * CG_LANES) * factor);
        codes[i] = cg_code_of(x[i] & 0x7FFFFFFF);
    }
    cg_store_signed4(p, codes, CG_CODE_BIAS, x);
}

/* The codes of any 4 * CG_LANES numbers: beyond 448 they saturate, NaN becomes 0x7F. */
CG_INLINE void cg_encode_any_e4m3(const float *values, uint8_t *p) {
    cg_vu x[4], codes[4];
    CG_UNROLL for (int i = 0; i < 4; i++) {
        x[i] = cg_bits(cg_load(values + i * CG_LANES));
        codes[i] = cg_code_of(cg_bits(cg_min(cg_floats(x[i] & 0x7FFFFFFF), cg_set(448))));
    }
    cg_store_signed4(p, codes, CG_CODE_BIAS, x);
    if (CG_UNLIKELY(cg_unordered(cg_floats(x[0]), cg_floats(x[1])) |
                    cg_unordered(cg_floats(x[2]), cg_floats(x[3]))))
        for (int i = 0; i < 4 * CG_LANES; i++)
            if (values[i] != values[i]) p[i] |= 0x7F;
}

#endif
