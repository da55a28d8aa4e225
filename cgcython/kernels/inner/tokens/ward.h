/* The cheapest of many merges: costs in whole vectors, least costs and where they are by lane. */
#ifndef CGCYTHON_WARD_H
#define CGCYTHON_WARD_H

#include <math.h>
#include <stddef.h>

#include "inner/simd/vector.h"

#define CG_PAIRS_OF_FLOATS (CG_LANES / 2) /* float64 numbers of a vector */

/* Of each cluster: the sum of its cosines with itself, that by its size, its size (0 and a length of
   infinity where it went into another), the least cost of merging it with a later one, which one,
   or -1 where that has to be found again and the cost is a lower bound. All end in whole vectors
   of clusters that are none. */
typedef struct {
    double *within, *lengths, *sizes, *costs, *partners;
} cg_clusters;

typedef struct {
    double cost, at;
} cg_least;

/* By how much the squared distances to centres grow when cluster i and those at j are merged. */
CG_INLINE cg_vd cg_costs(const cg_clusters *c, const double *products, ptrdiff_t i, ptrdiff_t j) {
    cg_vd merged = c->within[i] + cg_load_d(c->within + j) + 2 * cg_load_d(products + j);
    return c->lengths[i] + cg_load_d(c->lengths + j) - merged / (c->sizes[i] + cg_load_d(c->sizes + j));
}

/* The least of all lanes, the lowest place of equals; -1 where all are infinite. */
CG_INLINE cg_least cg_least_of(cg_vd costs, cg_vd places) {
    cg_least found = {INFINITY, -1};
    for (int k = 0; k < CG_PAIRS_OF_FLOATS; k++)
        if (costs[k] < found.cost || (costs[k] == found.cost && places[k] < found.at))
            found = (cg_least){costs[k], places[k]};
    return found;
}

CG_INLINE cg_vd cg_places(double first) {
    cg_vd places;
    for (int k = 0; k < CG_PAIRS_OF_FLOATS; k++) places[k] = first + k;
    return places;
}

#define CG_SEEK(COSTS)                                                       \
    cg_vd least = cg_set_d(INFINITY), where = cg_set_d(-1), at = cg_places(start); \
    for (ptrdiff_t j = start; j < n; j += CG_PAIRS_OF_FLOATS) {              \
        cg_vd cost = COSTS;                                                  \
        cg_vl better = cost < least;                                         \
        least = cg_select_d(better, cost, least);                            \
        where = cg_select_d(better, at, where);                              \
        at += CG_PAIRS_OF_FLOATS;                                            \
    }                                                                        \
    return cg_least_of(least, where)

/* The cheapest partner of cluster i among those of a higher position. */
static cg_least cg_partner(const cg_clusters *c, const double *products, ptrdiff_t i, ptrdiff_t n) {
    const ptrdiff_t start = i + 1;
    CG_SEEK(cg_costs(c, products, i, j));
}

static cg_least cg_cheapest(const cg_clusters *c, ptrdiff_t n) {
    const ptrdiff_t start = 0;
    CG_SEEK(cg_load_d(c->costs + j));
}

/* After j went into i: the partners of those before j that had either are to be found again, and
   those before i may have i for a partner. Merging the cheapest pair makes no other pair cheaper,
   so that a cost less a margin for rounding bounds what will be found. */
static void cg_notice(cg_clusters *c, const double *products, ptrdiff_t i, ptrdiff_t j,
                      double margin) {
    for (ptrdiff_t k = 0; k < j; k += CG_PAIRS_OF_FLOATS) {
        cg_vd costs = cg_load_d(c->costs + k), partners = cg_load_d(c->partners + k);
        cg_vl gone = (partners == cg_set_d((double)i)) | (partners == cg_set_d((double)j));
        costs = cg_select_d(gone, costs - margin, costs);
        partners = cg_select_d(gone, cg_set_d(-1), partners);
        if (k < i) {
            cg_vd merged = cg_costs(c, products, i, k);
            cg_vl before = cg_places((double)k) < cg_set_d((double)i);
            cg_vl equal = (merged == costs) & (partners > cg_set_d((double)i));
            cg_vl better = ((merged < costs) | equal) & (partners >= cg_set_d(0)) & before;
            costs = cg_select_d(better, merged, costs);
            partners = cg_select_d(better, cg_set_d((double)i), partners);
        }
        cg_store_d(c->costs + k, costs);
        cg_store_d(c->partners + k, partners);
    }
}

#endif
