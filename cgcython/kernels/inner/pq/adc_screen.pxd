"""A screen of codes: 8-bit tables whose sums are lower bounds of the float32 sums.

Entries are whole steps above the least of their table, rounded down; sums saturate, which only
lowers them. A row whose bound reaches the worst of the best rows cannot be one of these.
"""
from libc.math cimport ceil, fabs
from cgcython.kernels.inner.types cimport f32, u8, u64

cdef extern from "inner/pq/adc.h" nogil:
    enum:
        SCREEN_ROWS "CG_SCREEN_ROWS"
        SCREENS "CG_SCREENS"
        SCREEN_BLOCKS "CG_SCREEN_BLOCKS"
    void screen_rows "cg_screen"(
        const u8 *tables, const u8 *blocks, const u8 *lengths, Py_ssize_t M, int limit,
        u64 *passed
    )

cdef enum:
    KSUB = 256
    MAX_M = 192  # subvectors: sums of more have no screen
    STEPS = 254     # from the sum of all least entries to the worst of the best rows
    FEW = 192       # below so many steps the tables are rounded anew


cdef struct Screen:
    u8[(MAX_M + 1) * KSUB] entries  # the last ones are of lengths, where these are screened
    double[MAX_M] least
    const f32 *table
    Py_ssize_t M
    double base    # sum of the least entries
    double margin  # above all rounding of a float32 sum
    double step
    f32 worst
    int limit


cdef inline bint set_up(Screen *screen, const f32 *table, Py_ssize_t M) noexcept nogil:
    """Fill all but the entries; return whether the sums of the table stay finite."""
    cdef:
        Py_ssize_t m, i
        double entry, widest, widths = 0
    screen.table, screen.M, screen.base, screen.step = table, M, 0, 0
    for m in range(M):
        screen.least[m], widest = table[m * KSUB], 0
        for i in range(KSUB):
            entry = table[m * KSUB + i]
            if not fabs(entry) < 1e36:
                return False
            screen.least[m] = min(screen.least[m], entry)
            widest = max(widest, fabs(entry))
        screen.base += screen.least[m]
        widths += widest
    # Twice the bound of M float32 additions, and never 0.
    screen.margin = 2 * (M + 1) * 2.0**-24 * widths + 1e-30
    return True


cdef inline void tighten(Screen *screen, f32 worst) noexcept nogil:
    """Let those rows pass that may sum to less than worst, which never grows."""
    cdef double reach = worst + screen.margin - screen.base
    if screen.step > 0 and worst == screen.worst:
        return
    screen.worst = worst
    if not reach >= FEW * screen.step or screen.step == 0:
        screen.step = reach / STEPS
        round_down(screen)
    screen.limit = <int>ceil(reach / screen.step * (1 + 1e-12))


cdef inline void round_down(Screen *screen) noexcept nogil:
    cdef:
        double steps, per_step = (1 - 1e-12) / screen.step
        Py_ssize_t m, i
    for m in range(screen.M):
        for i in range(KSUB):
            steps = (screen.table[m * KSUB + i] - screen.least[m]) * per_step
            screen.entries[m * KSUB + i] = <u8><int>min(steps, 255.0)


cdef inline void passing(
    const Screen *screen, const u8 *blocks, const u8 *lengths, u64 *passed
) noexcept nogil:
    """Write one bit per row of SCREEN_BLOCKS blocks: whether it passes."""
    screen_rows(screen.entries, blocks, lengths, screen.M, screen.limit, passed)
