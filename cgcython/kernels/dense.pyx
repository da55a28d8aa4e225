"""Dense float32 rows: norms, products, cosines, the best scores, projections."""
from libc.math cimport isfinite, sqrt
from cgcython.kernels._door cimport agree
from cgcython.kernels._types cimport f32, f64, i64
from cgcython.kernels._vector cimport load16, load16_part, mul_add16, set16, sum16, v16


cdef f32 dense_dot(const f32 *a, const f32 *b, Py_ssize_t n) noexcept nogil:
    cdef:
        v16 total = set16(0)
        Py_ssize_t k = 0
    while k + 16 <= n:
        total = mul_add16(load16(a + k), load16(b + k), total)
        k += 16
    if k < n:
        total = mul_add16(load16_part(a + k, n - k), load16_part(b + k, n - k), total)
    return sum16(total)


cdef f64 squares(const f32 *a, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 total = 0
        Py_ssize_t k
    for k in range(n):
        total += <f64>a[k] * a[k]
    return total


cdef f32 dense_cosine(const f32 *a, const f32 *b, Py_ssize_t n) noexcept nogil:
    cdef:
        f64 aa = squares(a, n), bb = squares(b, n), dot = 0
        Py_ssize_t k
    for k in range(n):
        dot += <f64>a[k] * b[k]
    return <f32>(dot / (sqrt(aa) * sqrt(bb))) if aa > 0 and bb > 0 else <f32>0


def first_nonfinite(const f32[::1] values):
    """Return the index of the first NaN or infinity, or -1."""
    cdef Py_ssize_t i
    for i in range(values.shape[0]):
        if not isfinite(values[i]):
            return i
    return -1


def norms(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the Euclidean norm of each row; any finite magnitude."""
    cdef Py_ssize_t i, n = values.shape[0]
    agree("out", out.shape[0], "values", n)
    with nogil:
        for i in range(n):
            out[i] = <f32>sqrt(squares(&values[i, 0], values.shape[1]))


def dot_rows(
    const f32[::1] query,       # IN
    const f32[:, ::1] rows,     # IN
    f32[::1] out,               # OUT
):
    """Write the dot product of the query with each row."""
    cdef Py_ssize_t i, n = rows.shape[0], dim = rows.shape[1]
    agree("query", query.shape[0], "a row of rows", dim)
    agree("out", out.shape[0], "rows", n)
    with nogil:
        for i in range(n):
            out[i] = dense_dot(&query[0], &rows[i, 0], dim)


def cosine_rows(
    const f32[::1] query,       # IN
    const f32[:, ::1] rows,     # IN
    f32[::1] out,               # OUT
):
    """Write the cosine of the query with each row; 0 where either is zero."""
    cdef Py_ssize_t i, n = rows.shape[0], dim = rows.shape[1]
    agree("query", query.shape[0], "a row of rows", dim)
    agree("out", out.shape[0], "rows", n)
    with nogil:
        for i in range(n):
            out[i] = dense_cosine(&query[0], &rows[i, 0], dim)


def top_k(
    const f32[::1] scores,      # IN
    i64[::1] ids,               # OUT
    f32[::1] best,              # OUT
):
    """Write the highest scores, descending, and where they are; ties keep the lower index."""
    cdef:
        Py_ssize_t i, j, n = scores.shape[0], k = ids.shape[0], held = 0
    agree("best", best.shape[0], "ids", k)
    if k > n:
        raise ValueError(f"ids holds {k}, scores holds {n}")
    if k == 0:
        return
    with nogil:
        for i in range(n):
            if held == k:
                if not scores[i] > best[k - 1]:
                    continue
                held -= 1
            j = held
            while j and scores[i] > best[j - 1]:
                best[j], ids[j] = best[j - 1], ids[j - 1]
                j -= 1
            best[j], ids[j] = scores[i], i
            held += 1


cdef inline int check_product(
    Py_ssize_t width, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t out_width
) except -1:
    agree("a row of values", width, "rotation", rows)
    agree("a row of out", out_width, "a row of rotation", columns)
    return 0


def project(
    const f32[:, ::1] values,   # IN
    const f32[::1] mean,        # IN
    const f32[:, ::1] rotation,     # IN
    f32[:, ::1] out,            # OUT
):
    """Write (values - mean) @ rotation for each row."""
    cdef Py_ssize_t i, j, k, n = values.shape[0], dim = values.shape[1]
    check_product(dim, rotation.shape[0], rotation.shape[1], out.shape[1])
    agree("mean", mean.shape[0], "a row of values", dim)
    agree("out", out.shape[0], "values", n)
    out[:, :] = 0
    with nogil:
        for i in range(n):
            for k in range(dim):
                for j in range(rotation.shape[1]):
                    out[i, j] += (values[i, k] - mean[k]) * rotation[k, j]


def back_project(
    const f32[:, ::1] values,   # IN
    const f32[:, ::1] rotation_t,   # IN
    const f32[::1] mean,        # IN
    f32[:, ::1] out,            # OUT
):
    """Write values @ rotation_t + mean for each row."""
    cdef Py_ssize_t i, j, k, n = values.shape[0]
    check_product(values.shape[1], rotation_t.shape[0], rotation_t.shape[1], out.shape[1])
    agree("mean", mean.shape[0], "a row of out", out.shape[1])
    agree("out", out.shape[0], "values", n)
    with nogil:
        for i in range(n):
            for j in range(rotation_t.shape[1]):
                out[i, j] = mean[j]
            for k in range(rotation_t.shape[0]):
                for j in range(rotation_t.shape[1]):
                    out[i, j] += values[i, k] * rotation_t[k, j]
