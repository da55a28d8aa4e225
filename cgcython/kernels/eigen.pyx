"""Eigenvectors of symmetric matrices in float64: Householder's tridiagonal form, then QL steps.

LAPACK's results depend on the processor, on its threads and on its build. Here products are rounded
before they are added (setup.py forbids to fuse them) and sums keep one order, so that every level
and every machine returns the same bits.
"""
from libc.math cimport copysign, fabs, sqrt
from libc.string cimport memset
from cgcython.kernels.inner.door cimport agree, check_buffers

cdef enum:
    CHAINS = 8
    MOST_COLUMNS = 256  # of eigenvectors made at once: they stay in the second cache
    MOST_STEPS = 60     # of one eigenvalue; two or three are usual


cdef double EPSILON = 2.0**-52


cdef inline double dot(const double *a, const double *b, Py_ssize_t n) noexcept nogil:
    """Return a product summed in eight lanes, whose halves are then added to halves."""
    cdef:
        Py_ssize_t i = 0, lane
        double[CHAINS] sums
    for lane in range(CHAINS):
        sums[lane] = 0
    while i + CHAINS <= n:
        for lane in range(CHAINS):
            sums[lane] += a[i + lane] * b[i + lane]
        i += CHAINS
    for lane in range(n - i):
        sums[lane] += a[i + lane] * b[i + lane]
    for lane in range(4):
        sums[lane] += sums[lane + 4]
    return (sums[0] + sums[2]) + (sums[1] + sums[3])


cdef inline void update_row(
    double *row, double v, double w, const double *vs, const double *ws, Py_ssize_t n
) noexcept nogil:
    """Subtract v times ws and w times vs from a row."""
    cdef Py_ssize_t j
    for j in range(n):
        row[j] -= v * ws[j] + w * vs[j]


cdef inline void add_times(
    double factor, const double *row, double *sums, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t j
    for j in range(n):
        sums[j] += factor * row[j]


cdef inline void add_four(
    const double *factors, const double *rows, double *sums, Py_ssize_t n
) noexcept nogil:
    """Add four rows times their factors to sums, one after the other."""
    cdef:
        Py_ssize_t j
        double a = factors[0], b = factors[1], c = factors[2], d = factors[3]
    for j in range(n):
        sums[j] = (((sums[j] + a * rows[j]) + b * rows[n + j]) + c * rows[2 * n + j]) + (
            d * rows[3 * n + j]
        )


cdef inline void add_rows(
    const double *factors, const double *rows, double *sums, Py_ssize_t count, Py_ssize_t n
) noexcept nogil:
    """Add rows times their factors to sums, one after the other."""
    cdef Py_ssize_t i = 0
    while i + 4 <= count:
        add_four(factors + i, rows + i * n, sums, n)
        i += 4
    while i < count:
        add_times(factors[i], rows + i * n, sums, n)
        i += 1


cdef inline double reflector(double *x, Py_ssize_t n, double *off) noexcept nogil:
    """Turn x into the reflector that leaves its first value alone; return its factor."""
    cdef:
        double first = x[0], tail = dot(x + 1, x + 1, n - 1), length
        Py_ssize_t j
    off[0] = first
    if tail == 0:
        return 0
    length = -copysign(sqrt(first * first + tail), first)
    off[0] = length
    for j in range(1, n):
        x[j] /= first - length
    x[0] = 1
    return (length - first) / length


cdef void reduce_row(
    double *matrix, Py_ssize_t n, Py_ssize_t k, double *factors, double *diagonal, double *off,
    double *before, double *after,
) noexcept nogil:
    """Reflect rows behind k; what the last reflection changes in them is done in the same pass.

    `before` [n] holds the second vector of that change, whose first is the last reflector; `after`
    becomes that of this one.
    """
    cdef:
        Py_ssize_t i, rest = n - k - 1
        double *row = matrix + k * n
        double *last = matrix + (k - 1) * n  # not read at k = 0
        double scale
        bint pending = k > 0 and factors[k - 1] != 0
    if pending:
        update_row(row + k, last[k], before[k], last + k, before + k, rest + 1)
    diagonal[k] = row[k]
    if not rest:
        return
    factors[k] = reflector(row + k + 1, rest, off + k)
    memset(after, 0, n * sizeof(double))
    for i in range(k + 1, n):
        if pending:
            update_row(
                matrix + i * n + i, last[i], before[i], last + i, before + i, n - i
            )
        if factors[k] != 0:
            after[i] += dot(matrix + i * n + i, row + i, n - i)
            add_times(row[i], matrix + i * n + i + 1, after + i + 1, n - i - 1)
    for i in range(k + 1, n):
        after[i] *= factors[k]
    scale = -factors[k] / 2 * dot(after + k + 1, row + k + 1, rest)
    add_times(scale, row + k + 1, after + k + 1, rest)


cdef inline void reflect(
    double *columns, Py_ssize_t c, const double *v, double factor, Py_ssize_t n
) noexcept nogil:
    """Reflect n rows of c columns."""
    cdef:
        Py_ssize_t i
        double[MOST_COLUMNS] sums
    memset(sums, 0, sizeof(sums))
    add_rows(v, columns, sums, n, c)
    for i in range(n):
        add_times(-factor * v[i], sums, columns + i * c, c)


cdef inline void rotate(
    double *low, double *high, double sine, double cosine, Py_ssize_t c
) noexcept nogil:
    cdef:
        Py_ssize_t j
        double x, y
    for j in range(c):
        x, y = low[j], high[j]
        high[j] = sine * x + cosine * y
        low[j] = cosine * x - sine * y


cdef inline void ql_step(
    double *diagonal, double *off, Py_ssize_t l, Py_ssize_t m, double *columns, Py_ssize_t c
) noexcept nogil:
    """Rotate rows m to l by an implicit step of the QL algorithm."""
    cdef:
        Py_ssize_t i = m - 1
        double g = (diagonal[l + 1] - diagonal[l]) / (2 * off[l])
        double r = sqrt(g * g + 1), sine = 1, cosine = 1, moved = 0, f, b
    g = diagonal[m] - diagonal[l] + off[l] / (g + copysign(r, g))
    while i >= l:
        f, b = sine * off[i], cosine * off[i]
        r = sqrt(f * f + g * g)
        off[i + 1] = r
        if r == 0:
            diagonal[i + 1] -= moved
            off[m] = 0
            return
        sine, cosine = f / r, g / r
        g = diagonal[i + 1] - moved
        r = (diagonal[i] - g) * sine + 2 * cosine * b
        moved = sine * r
        diagonal[i + 1] = g + moved
        g = cosine * r - b
        rotate(columns + i * c, columns + (i + 1) * c, sine, cosine, c)
        i -= 1
    diagonal[l] -= moved
    off[l] = g
    off[m] = 0


cdef double largest(const double *diagonal, const double *off, Py_ssize_t n) noexcept nogil:
    cdef:
        Py_ssize_t i
        double found = 0
    for i in range(n):
        found = max(found, fabs(diagonal[i]) + (fabs(off[i]) if i < n - 1 else 0))
    return found


cdef bint diagonalize(
    double *diagonal, double *off, Py_ssize_t n, double *columns, Py_ssize_t c
) noexcept nogil:
    """Make a tridiagonal matrix diagonal, rotating n rows of columns; return whether it could."""
    cdef:
        Py_ssize_t first, m, steps
        double least = EPSILON * largest(diagonal, off, n)
    off[n - 1] = 0
    for first in range(n):
        for steps in range(MOST_STEPS + 1):
            m = first
            while m < n - 1 and not fabs(off[m]) <= least:
                m += 1
            if m == first:
                break
            if steps == MOST_STEPS:
                return False
            ql_step(diagonal, off, first, m, columns, c)
    return True


def tridiagonal(
    double[:, ::1] matrix,  # INOUT
    double[::1] factors,    # INOUT
    double[::1] diagonal,   # INOUT
    double[::1] off,        # INOUT
    double[:, ::1] work,    # INOUT
    Py_ssize_t start,
    Py_ssize_t stop,
):
    """Reduce rows start to stop of a symmetric matrix [n, n], of which the upper half is read.

    All rows, in order, give `diagonal` [n] and `off` [n] of a tridiagonal matrix; reflectors take
    the place of the upper half, with `factors` [n]. `work` is [2, n], kept from call to call.
    """
    cdef Py_ssize_t k, n = matrix.shape[0]
    check_buffers(5, matrix, factors, diagonal, off, work)
    agree("a row of matrix", matrix.shape[1], "matrix", n)
    agree("factors", factors.shape[0], "matrix", n)
    agree("diagonal", diagonal.shape[0], "matrix", n)
    agree("off", off.shape[0], "matrix", n)
    agree("work", work.shape[0], "a pair", 2)
    agree("a row of work", work.shape[1], "matrix", n)
    if not 0 <= start <= stop <= n:
        raise ValueError(f"rows {start} to {stop} are not among {n}")
    with nogil:
        for k in range(start, stop):
            reduce_row(
                &matrix[0, 0], n, k, &factors[0], &diagonal[0], &off[0],
                &work[(k + 1) & 1, 0], &work[k & 1, 0],
            )


def vectors(
    const double[:, ::1] matrix,  # IN
    const double[::1] factors,    # IN
    double[::1] diagonal,         # INOUT
    double[::1] off,              # INOUT
    Py_ssize_t first,
    double[:, ::1] columns,       # OUT
):
    """Write values `first` to first + c of all n eigenvectors [n, c], one in each row.

    Arguments are what `tridiagonal` left. `diagonal` becomes the eigenvalues, in the order of the
    rows, and `off` zeros.
    """
    cdef Py_ssize_t k, n = matrix.shape[0], c = columns.shape[1]
    cdef bint is_diagonal
    check_buffers(3, diagonal, off, columns, matrix, factors)
    agree("a row of matrix", matrix.shape[1], "matrix", n)
    agree("factors", factors.shape[0], "matrix", n)
    agree("diagonal", diagonal.shape[0], "matrix", n)
    agree("off", off.shape[0], "matrix", n)
    agree("columns", columns.shape[0], "matrix", n)
    if c > MOST_COLUMNS or not 0 <= first <= n - c:
        raise ValueError(
            f"columns {first} to {first + c} are over {MOST_COLUMNS}, or not among {n}"
        )
    if not n or not c:
        return
    with nogil:
        memset(&columns[0, 0], 0, n * c * sizeof(double))
        for k in range(c):
            columns[first + k, k] = 1
        for k in range(n - 1):
            if factors[k] != 0:
                reflect(&columns[k + 1, 0], c, &matrix[k, k + 1], factors[k], n - k - 1)
        is_diagonal = diagonalize(&diagonal[0], &off[0], n, &columns[0, 0], c)
    if not is_diagonal:
        raise ValueError(f"no eigenvalue after {MOST_STEPS} steps")


def product(
    const double[:, ::1] a,  # IN
    const double[:, ::1] b,  # IN
    double[:, ::1] out,      # OUT
):
    """Write a [n, d] @ b [d, c], each sum in order."""
    cdef Py_ssize_t i, n = a.shape[0], d = a.shape[1], c = b.shape[1]
    check_buffers(1, out, a, b)
    agree("b", b.shape[0], "a row of a", d)
    agree("out", out.shape[0], "a", n)
    agree("a row of out", out.shape[1], "a row of b", c)
    if not n or not c or not d:
        out[:] = 0
        return
    with nogil:
        memset(&out[0, 0], 0, n * c * sizeof(double))
        for i in range(n):
            add_rows(&a[i, 0], &b[0, 0], &out[i, 0], d, c)
