/* Arithmetic on sixteen lanes. */
#ifndef CGCYTHON_SIXTEEN_H
#define CGCYTHON_SIXTEEN_H

CG_INLINE cg_v16 cg_load16(const float *p) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_load(p + i * CG_LANES);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}
CG_INLINE cg_v16 cg_set16(float x) {
    cg_v16 r;
#define CG_DO(i) r.v##i = cg_set(x);
    CG_PARTS(CG_DO)
#undef CG_DO
    return r;
}
CG_INLINE cg_v16 cg_load16_part(const float *p, ptrdiff_t n) { /* zeros behind the last of n */
    float some[16] = {0};
    memcpy(some, p, (size_t)n * sizeof *p);
    return cg_load16(some);
}
CG_INLINE void cg_store16(float *p, cg_v16 a) {
#define CG_DO(i) cg_store(p + i * CG_LANES, a.v##i);
    CG_PARTS(CG_DO)
#undef CG_DO
}
CG_INLINE cg_v16 cg_add16(cg_v16 a, cg_v16 b) {
#define CG_DO(i) a.v##i = a.v##i + b.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return a;
}
CG_INLINE cg_v16 cg_max16(cg_v16 a, cg_v16 b) { /* b where either is NaN */
#define CG_DO(i) a.v##i = cg_max(a.v##i, b.v##i);
    CG_PARTS(CG_DO)
#undef CG_DO
    return a;
}
CG_INLINE cg_v16 cg_mul16(cg_v16 a, cg_v16 b) {
#define CG_DO(i) a.v##i = a.v##i * b.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return a;
}
CG_INLINE cg_v16 cg_sub16(cg_v16 a, cg_v16 b) {
#define CG_DO(i) a.v##i = a.v##i - b.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return a;
}
CG_INLINE cg_v16 cg_mul_add16(cg_v16 a, cg_v16 b, cg_v16 c) {
#define CG_DO(i) c.v##i = a.v##i * b.v##i + c.v##i;
    CG_PARTS(CG_DO)
#undef CG_DO
    return c;
}

#endif
