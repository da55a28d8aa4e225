/* The inner tile of MaxSim: a few document tokens times a few vectors of query lanes.

   Accumulators live in registers only when their loops unroll fully, so the sizes are constants.
   Each lane adds its products in the order of the dimensions: every level with FMA returns the
   same bits, whatever its width and whichever tile a token falls into. */
#ifndef CGCYTHON_MAXSIM_H
#define CGCYTHON_MAXSIM_H

#include <stddef.h>

#include "_vector.h"

#define CG_QUERY_LANES 32
#define CG_DEPTH 128 /* dimensions a tile handles at once, and the floats between its rows */

#if defined(__AVX512F__)
#define CG_TILE 12
#else
#define CG_TILE 6 /* with two query vectors and a broadcast, 15 of the 16 registers */
#endif

/* Keeps a loaded vector in its register: folded into each FMA, the load is repeated. */
#if defined(__AVX512F__)
#define CG_PIN(v) __asm__("" : "+v"(v))
#else
#define CG_PIN(v) __asm__("" : "+x"(v))
#endif

/* Add rows x query to sums [rows][CG_QUERY_LANES], starting from 0 unless `more`. */
#define CG_DEFINE_TILE(NAME, ROWS)                                                              \
    CG_INLINE void NAME(const float *rows, const float *query, ptrdiff_t depth, float *sums,    \
                        int more) {                                                             \
        for (int lane = 0; lane < CG_QUERY_LANES; lane += 2 * CG_LANES) {                       \
            cg_vf a[ROWS], b[ROWS];                                                             \
            _Pragma("GCC unroll 16") for (int t = 0; t < ROWS; t++) {                           \
                a[t] = more ? cg_load(sums + t * CG_QUERY_LANES + lane) : cg_set(0);            \
                b[t] = more ? cg_load(sums + t * CG_QUERY_LANES + lane + CG_LANES) : cg_set(0); \
            }                                                                                   \
            for (ptrdiff_t k = 0; k < depth; k++) {                                             \
                cg_vf left = cg_load(query + k * CG_QUERY_LANES + lane);                        \
                cg_vf right = cg_load(query + k * CG_QUERY_LANES + lane + CG_LANES);            \
                CG_PIN(left);                                                                   \
                CG_PIN(right);                                                                  \
                _Pragma("GCC unroll 16") for (int t = 0; t < ROWS; t++) {                       \
                    cg_vf value = cg_set(rows[t * CG_DEPTH + k]);                               \
                    a[t] += value * left;                                                       \
                    b[t] += value * right;                                                      \
                }                                                                               \
            }                                                                                   \
            _Pragma("GCC unroll 16") for (int t = 0; t < ROWS; t++) {                           \
                cg_store(sums + t * CG_QUERY_LANES + lane, a[t]);                               \
                cg_store(sums + t * CG_QUERY_LANES + lane + CG_LANES, b[t]);                    \
            }                                                                                   \
        }                                                                                       \
    }
CG_DEFINE_TILE(cg_tile, CG_TILE)
CG_DEFINE_TILE(cg_tile_of_3, 3)
CG_DEFINE_TILE(cg_tile_of_1, 1)

#endif
