/* The compilers' words, in one place: gcc and clang. */
#ifndef CGCYTHON_COMPILER_H
#define CGCYTHON_COMPILER_H

#include <stdint.h>

#if !defined(__GNUC__) && !defined(__clang__) /* clang-cl calls itself only the latter */
#error "cgcython's kernels need gcc or clang (on Windows clang-cl): they use vector types"
#endif

#define CG_INLINE static inline __attribute__((always_inline))
#define CG_OWN __attribute__((noinline)) /* a symbol of its own, whose width can be checked */
#define CG_UNUSED __attribute__((unused)) /* by some of the families that include it */
#define CG_VECTOR(type, bytes) type __attribute__((vector_size(bytes)))

/* Before a loop: all of its up to 16 rounds stand one after the other. */
#if defined(__clang__)
#define CG_UNROLL _Pragma("clang loop unroll(full)")
#else
#define CG_UNROLL _Pragma("GCC unroll 16")
#endif

#define CG_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Lanes of two vectors, by their places in both; gcc 11 wants the places as a vector. */
#if defined(__clang__) || __GNUC__ >= 12
#define CG_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef CG_VECTOR(int32_t, 16) cg_places_of_floats;
#define CG_PLACES_IN(a) __typeof__(_Generic((a)[0], float: (cg_places_of_floats){0}, default: (a)))
#define CG_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (CG_PLACES_IN(a)){__VA_ARGS__})
#endif

/* Ask for a line that will be read: into the first cache, or only into the second. */
CG_INLINE void cg_fetch(const void *p) { __builtin_prefetch(p); }
CG_INLINE void cg_fetch_second(const void *p) { __builtin_prefetch(p, 0, 2); }

CG_INLINE int cg_ones(uint64_t x) { return __builtin_popcountll(x); }
CG_INLINE int cg_first_one(uint64_t x) { return __builtin_ctzll(x); } /* x is not 0 */
CG_INLINE int cg_leading_zeros(uint64_t x) { return __builtin_clzll(x); } /* x is not 0 */

/* Keeps a vector in its register: the compiler would rather read it again for every use, or fuse
   the product that it is with a later addition. */
#if defined(__x86_64__) && defined(__AVX512F__)
#define CG_PIN(v) __asm__("" : "+v"(v))
#elif defined(__x86_64__)
#define CG_PIN(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define CG_PIN(v) __asm__("" : "+w"(v))
#else
#define CG_PIN(v) __asm__("" : "+m"(v))
#endif

/* Hides from the compiler where a pointer comes from: it would keep what it read there. */
#define CG_HIDE(pointer) __asm__("" : "+r"(pointer))

/* A product that no later addition may fuse with: every level rounds it. */
CG_INLINE double cg_rounded(double product) {
    CG_PIN(product);
    return product;
}
CG_INLINE float cg_rounded_f(float product) {
    CG_PIN(product);
    return product;
}

#endif
