"""The rows of blocks with the highest cosines, through a screen of 8-bit tables.

A row of length n whose cosine with the query is above t > 0 has a dot product above t * n. So

    (share * n**2 - dot) + (t * n - share * n**2) <= 0

whatever the share. The first bracket is a sum of table entries, which vary less than those of dot
products alone: codes of high dot products are mostly those of long vectors. The second hardly
varies where share = t / 2n, and depends on n alone, of which each row has a code.
"""
from libc.math cimport INFINITY, ceil, fabs, fabsf, sqrt
from cgcython.kernels.inner.simd.compiler cimport first_one
from cgcython.kernels.inner.pq.adc_best cimport Best, lane_sum, offer
from cgcython.kernels.inner.pq.adc_screen cimport (
    SCREEN_ROWS, FEW, KSUB, MAX_M, SCREENS, SCREEN_BLOCKS, STEPS, Screen, passing,
)
from cgcython.kernels.inner.types cimport f32, u8, u64

cdef enum:
    HEAD = 1024  # rows that are measured before the screen: they choose its steps


cdef struct Cosines:
    const f32 *dots
    const f32 *norms
    Py_ssize_t M
    double dot_constant, norm_constant
    const f32 *edges  # a row whose length has code c is edges[c] to edges[c + 1] long
    double above      # only rows with higher cosines can be among the best, if it is above 0
    double share
    double dot_widths, norm_widths  # sums of the largest entries
    bint screened
    Screen screen
    Best best


cdef inline void cosine_set_up(Cosines *found) noexcept nogil:
    """Set what does not come from the caller."""
    found.above = found.share = found.screen.step = 0
    found.screen.M = found.M
    found.screened = (
        SCREENS and 0 < found.M <= MAX_M and found.edges[KSUB] > 0
        and fabs(found.dot_constant) < 1e36 and fabs(found.norm_constant) < 1e36
        and widths(found.dots, found.M, &found.dot_widths)
        and widths(found.norms, found.M, &found.norm_widths)
    )


cdef inline bint widths(const f32 *table, Py_ssize_t M, double *total) noexcept nogil:
    """Write the sum of the largest entries; return whether all are finite."""
    cdef:
        Py_ssize_t m, i, lane
        f32[16] widest, excess
        f32 entry
    total[0] = 0
    for m in range(M):
        for lane in range(16):
            widest[lane] = 0
            excess[lane] = 0
        for i in range(m * KSUB, (m + 1) * KSUB, 16):
            for lane in range(16):
                entry = fabsf(table[i + lane])
                widest[lane] = max(widest[lane], entry)
                excess[lane] += entry - entry  # NaN unless it is finite
        entry = 0
        for lane in range(16):
            entry = max(entry, widest[lane])
            total[0] += excess[lane]
        total[0] += entry
    return total[0] < 1e36


cdef inline void offer_cosines(
    Cosines *found, const u8 *blocks, const u8 *lengths, Py_ssize_t n
) noexcept nogil:
    """Offer the n rows of some blocks."""
    cdef Py_ssize_t start = 0, i, M = found.M
    while start < n:
        if (
            found.screened and start >= HEAD and 0 < found.above < 2
            and n - start >= SCREEN_BLOCKS * SCREEN_ROWS
        ):
            tighten_cosine(found)
            offer_passing_cosines(found, blocks + start * M, lengths + start, start)
            start += SCREEN_BLOCKS * SCREEN_ROWS
        else:
            for i in range(min(<Py_ssize_t>SCREEN_ROWS, n - start)):
                offer_cosine(found, blocks + start * M + i, lengths[start + i], start + i)
            start += SCREEN_ROWS


cdef inline void tighten_cosine(Cosines *found) noexcept nogil:
    """Let those rows pass whose cosines may be above the worst of the best ones."""
    cdef:
        Screen *screen = &found.screen
        double[KSUB] rest
        double reach
    if screen.step > 0 and screen.worst == found.best.sums[found.best.k - 1]:
        return
    screen.worst = found.best.sums[found.best.k - 1]
    reach = reach_of(found, rest)
    if screen.step == 0 or not reach >= FEW * screen.step:
        choose_share(found)
        reach = reach_of(found, rest)
        screen.step = reach / STEPS
        round_down_cosines(found)
    to_entries(rest, (1 - 1e-12) / screen.step, &screen.entries[screen.M * KSUB])
    screen.limit = <int>ceil(reach / screen.step * (1 + 1e-12))


cdef inline double reach_of(const Cosines *found, double *rest) noexcept nogil:
    """Return how far above their least the entries of a row that passes may sum up.

    Writes the entries of lengths: the least that the second bracket can be, above their own least.
    It is at an end of any range of lengths, since the bracket bends down.
    """
    cdef:
        double[KSUB + 1] at_edges
        double above = found.above, share = found.share, lowest
        Py_ssize_t i
    for i in range(KSUB + 1):
        at_edges[i] = (above - share * found.edges[i]) * found.edges[i]
    lowest = min(at_edges[0], at_edges[KSUB])
    for i in range(KSUB):
        rest[i] = min(at_edges[i], at_edges[i + 1]) - lowest
    return max(
        found.dot_constant - share * found.norm_constant
        + found.screen.margin - found.screen.base - lowest,
        1e-30,
    )


cdef inline void choose_share(Cosines *found) noexcept nogil:
    cdef:
        Screen *screen = &found.screen
        double least, share = found.above / (<double>found.edges[0] + found.edges[KSUB])
        Py_ssize_t m, i
    found.share, screen.base = share, 0
    for m in range(screen.M):
        least = INFINITY
        for i in range(m * KSUB, (m + 1) * KSUB):
            least = min(least, share * found.norms[i] - found.dots[i])
        screen.least[m] = least
        screen.base += least
    # Twice the bound of M float32 additions, and never 0.
    screen.margin = found.dot_widths + share * found.norm_widths
    screen.margin = 2 * (screen.M + 1) * 2.0**-24 * screen.margin + 1e-30


cdef inline void round_down_cosines(Cosines *found) noexcept nogil:
    cdef:
        double per_step = (1 - 1e-12) / found.screen.step, share = found.share, least
        double[KSUB] steps
        Py_ssize_t m, i
    for m in range(found.screen.M):
        least = found.screen.least[m]
        for i in range(KSUB):
            steps[i] = share * found.norms[m * KSUB + i] - found.dots[m * KSUB + i] - least
        to_entries(steps, per_step, &found.screen.entries[m * KSUB])


cdef inline void to_entries(const double *steps, double per_step, u8 *entries) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(KSUB):
        entries[i] = <u8><int>min(steps[i] * per_step, 255.0)


cdef inline void offer_passing_cosines(
    Cosines *found, const u8 *blocks, const u8 *lengths, Py_ssize_t start
) noexcept nogil:
    cdef:
        u64[SCREEN_BLOCKS] passed
        Py_ssize_t b, row
        int lane
    passing(&found.screen, blocks, lengths, passed)
    for b in range(SCREEN_BLOCKS):
        while passed[b]:
            lane = first_one(passed[b])
            passed[b] &= passed[b] - 1
            row = b * SCREEN_ROWS + lane
            offer_cosine(
                found, blocks + b * SCREEN_ROWS * found.M + lane, lengths[row], start + row
            )


cdef inline void offer_cosine(
    Cosines *found, const u8 *lane, u8 length, Py_ssize_t row
) noexcept nogil:
    """Offer one row, unless the bound of its length already excludes it."""
    cdef:
        double dot = found.dot_constant + sum_of_lane(found.dots, lane, found.M)
        double square
        f32 distance
    if found.above > 0 and dot < found.above * found.edges[length]:
        return
    square = found.norm_constant + sum_of_lane(found.norms, lane, found.M)
    distance = <f32>1 - (<f32>(dot / sqrt(square)) if square > 0 else <f32>0)
    offer(&found.best, row, distance if distance == distance else <f32>INFINITY)
    if found.best.held == found.best.k:
        # 2**-21 is more than rounding moves a distance below 2.
        found.above = 1 - <double>found.best.sums[found.best.k - 1] - 2.0**-21


cdef inline f32 sum_of_lane(const f32 *table, const u8 *lane, Py_ssize_t M) noexcept nogil:
    # The compiler unrolls what it knows.
    return lane_sum(table, lane, 8) if M == 8 else lane_sum(table, lane, M)
