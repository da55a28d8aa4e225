"""A query as whole numbers that meet rows of codes, and the scores of these.

A row consists of runs of bytes whose codes are of 8, 4 or 2 bits: one run, or of codes of 6 bits
the low four, the high two and the last few as they are. A query has numbers for each run.
"""
from libc.math cimport frexp, ldexp
from libc.string cimport memcpy, memset
from cgcython.kernels.inner.finite cimport peak_bits
from cgcython.kernels.inner.integers.codes cimport FINE, whole_numbers
from cgcython.kernels.inner.integers.query cimport peak_of
from cgcython.kernels.inner.types cimport f32, f64, i16, i32, i64, u8, u32
from cgcython.kernels.inner.whole_turn cimport turn_whole

cdef extern from "inner/integers/scalars.h" nogil:
    enum:
        CODE_BLOCK "CG_CODE_BLOCK"
        CODE_ROWS "CG_CODE_ROWS"
        WORDS "CG_WORDS"
    void fetch_codes "cg_fetch_codes"(const u8 *rows, Py_ssize_t bytes)
    void code_dots "cg_code_dots"(
        int n, int bits, const u8 *rows, Py_ssize_t stride, Py_ssize_t bytes, int readable,
        const i16 *query, i32 *dots,
    )

cdef enum:
    RUNS = 3
    MOST_SIZES = 1 << 23    # of all numbers of a query: times the highest code they fit 31 bits


cdef struct Run:
    Py_ssize_t first    # code, the first of a run
    Py_ssize_t start    # byte of a row
    Py_ssize_t bytes
    int bits
    int weight          # of a code's number
    Py_ssize_t numbers  # where the query's begin, in its own


cdef inline Py_ssize_t numbers_of(Py_ssize_t bytes, int bits) noexcept nogil:
    """The numbers of a query that meet a run: whole blocks."""
    return (bytes + CODE_BLOCK - 1) // CODE_BLOCK * CODE_BLOCK * 8 // bits


cdef inline Py_ssize_t runs_of(Py_ssize_t dim, int bits, Run *runs) noexcept nogil:
    """Set the runs of a row; return the numbers of a query that meet them."""
    cdef Py_ssize_t whole = dim // 4 * 4, total = 0, i
    for i in range(RUNS):
        runs[i].first = runs[i].start = runs[i].bytes = 0
        runs[i].weight, runs[i].bits = 1, bits
    if bits == 6:
        runs[0].bytes, runs[0].bits = whole // 2, 4
        runs[1].start, runs[1].bytes = whole // 2, whole // 4
        runs[1].bits, runs[1].weight = 2, 16
        runs[2].first, runs[2].start, runs[2].bytes = whole, whole // 4 * 3, dim - whole
        runs[2].bits = 8
    else:
        runs[0].bytes = dim // 8 * bits + (dim % 8 * bits + 7) // 8
    for i in range(RUNS):
        runs[i].numbers = total
        total += numbers_of(runs[i].bytes, runs[i].bits)
    return total


cdef inline void lay_run(
        const i32 *numbers, Py_ssize_t dim, const Run *run, i16 *out) noexcept nogil:
    """Write the numbers that meet a run, in its order; zeros were there."""
    cdef:
        Py_ssize_t places = 16 // run.bits, k, word, count
    count = min(run.bytes * 8 // run.bits, dim - run.first)
    for k in range(count):
        word = k // places
        out[
            word // WORDS * WORDS * places + k % places * WORDS + word % WORDS
        ] = <i16>numbers[run.first + k]


cdef inline i32 fitting_limit(const i32 *numbers, Py_ssize_t dim) noexcept nogil:
    """The peak with which whole numbers, whose peak is FINE now, fit the sums."""
    cdef:
        i64 sizes = 0, room = max(<i64>0, MOST_SIZES - <i64>dim)
        Py_ssize_t k
    for k in range(dim):
        sizes += numbers[k] if numbers[k] >= 0 else -numbers[k]
    return FINE if sizes <= room else <i32>(FINE * room // sizes)


cdef inline void lay_query(
    const f32 *query, Py_ssize_t dim, int bits, f32 *turned, i32 *numbers, i16 *laid,
    i64 *total, i64 *squares, f64 *unit
) noexcept nogil:
    """Write a query's numbers for each run; `laid` is what runs_of says, and zeros.

    `total` and `squares` are sums over all numbers and their squares; a number is worth `unit`.
    """
    cdef:
        Run[RUNS] runs
        u32 size = peak_bits(query, dim)
        f32 peak, lift
        i32 limit
        int power
        Py_ssize_t k
    memcpy(&peak, &size, sizeof(peak))
    frexp(peak, &power)
    power = max(power, -126)
    lift = <f32>ldexp(1, -power)
    for k in range(dim):
        turned[k] = query[k] * lift
    turn_whole(turned, dim)
    peak = peak_of(turned, dim)
    whole_numbers(turned, dim, peak, FINE, numbers)
    limit = fitting_limit(numbers, dim)
    if limit < FINE:
        whole_numbers(turned, dim, peak, limit, numbers)
    total[0] = squares[0] = 0
    for k in range(dim):
        total[0] += numbers[k]
        squares[0] += <i64>numbers[k] * numbers[k]
    unit[0] = ldexp(peak / <f64>max(limit, 1), power)
    runs_of(dim, bits, runs)
    for k in range(RUNS):
        lay_run(numbers, dim, &runs[k], laid + runs[k].numbers)


cdef inline void dots_of(
    const i16 *laid, const Run *runs, const u8 *rows, Py_ssize_t n, Py_ssize_t width, bint readable,
    i64 *dots,
) noexcept nogil:
    """Write the dots of up to CODE_ROWS rows of codes with a query's numbers."""
    cdef:
        i32[CODE_ROWS] some
        Py_ssize_t r, i
    for i in range(n):
        dots[i] = 0
    for r in range(RUNS):
        if runs[r].bytes:
            code_dots(
                <int>n, runs[r].bits, rows + runs[r].start, width, runs[r].bytes, readable,
                laid + runs[r].numbers, some,
            )
            for i in range(n):
                dots[i] += <i64>runs[r].weight * some[i]


cdef inline void score_some(
    const i16 *laid, i64 total, f64 factor, const Run *runs, int bits, const u8 *rows, Py_ssize_t n,
    Py_ssize_t width, const f32 *factors, f32 *out,
) noexcept nogil:
    """Write the scores of n rows, behind which nothing may be read."""
    cdef:
        i64[CODE_ROWS] dots
        i64 taken = ((1 << bits) - 1) * total
        Py_ssize_t i = 0, j, some
        bint readable
    while i < n:
        some = min(<Py_ssize_t>CODE_ROWS, n - i)
        readable = (n - i - some) * width >= CODE_BLOCK
        fetch_codes(rows + i * width, some * width)
        dots_of(laid, runs, rows + i * width, some, width, readable, dots)
        for j in range(some):
            out[i + j] = <f32>(<f64>(2 * dots[j] - taken) * factor * factors[i + j])
        i += some
