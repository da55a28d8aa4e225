"""Which tokens matter: scores, and selection of the best."""
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels.inner.door cimport (
    agree, check_buffers, check_offsets, require_apart, shaped, writable,
)
from cgcython.kernels.inner.tokens.scores cimport SOME, entropies_of, magnitude_of, max_abs_of
from cgcython.kernels.inner.select cimport keep_best
from cgcython.kernels.inner.types cimport f32, i64, u32
from cgcython.kernels.inner.simd.vector cimport LANES, load, store

cdef enum:
    OF_MAGNITUDE, OF_MAX_ABS, OF_ENTROPY

np.import_array()

MAGNITUDE, MAX_ABS, ENTROPY = OF_MAGNITUDE, OF_MAX_ABS, OF_ENTROPY


cdef f32 tokens_magnitude(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return magnitude_of(token, dim)


cdef f32 tokens_max_abs(const f32 *token, Py_ssize_t dim) noexcept nogil:
    return max_abs_of(token, dim)


cdef f32 tokens_entropy(const f32 *token, Py_ssize_t dim) noexcept nogil:
    cdef f32 entropy
    entropies_of(token, 1, dim, &entropy)
    return entropy


cdef void tokens_score(
    int method, const f32 *values, Py_ssize_t n, Py_ssize_t dim, f32 *scores
) noexcept nogil:
    cdef Py_ssize_t i
    if method == OF_MAGNITUDE:
        for i in range(n):
            scores[i] = magnitude_of(values + i * dim, dim)
    elif method == OF_MAX_ABS:
        for i in range(n):
            scores[i] = max_abs_of(values + i * dim, dim)
    else:
        i = 0
        while i < n:
            entropies_of(values + i * dim, min(<Py_ssize_t>SOME, n - i), dim, scores + i)
            i += SOME


cdef void tokens_select_top(
    const f32 *scores, Py_ssize_t n, u32 *kept, Py_ssize_t k
) noexcept nogil:
    if k:
        keep_best(scores, n, kept, k)


cdef inline void copy_rows(
    const f32 *values, Py_ssize_t dim, const u32 *kept, Py_ssize_t count, f32 *out
) noexcept nogil:
    """Copy rows, which are too short for a call of memcpy each."""
    cdef:
        Py_ssize_t i, k
        const f32 *row
    for i in range(count):
        row, k = values + kept[i] * dim, 0
        while k + LANES <= dim:
            store(out + k, load(row + k))
            k += LANES
        memcpy(out + k, row + k, (dim - k) * sizeof(f32))
        out += dim


cdef void tokens_prune(
    int method, const f32 *values, Py_ssize_t n, Py_ssize_t dim, f32 *scores, u32 *kept,
    Py_ssize_t k, f32 *out
) noexcept nogil:
    tokens_score(method, values, n, dim, scores)
    tokens_select_top(scores, n, kept, k)
    copy_rows(values, dim, kept, k, out)


cdef int require_method(int method) except -1:
    if not 0 <= method <= OF_ENTROPY:
        raise ValueError(f"method is {method}, expected MAGNITUDE, MAX_ABS or ENTROPY")
    return 0


cdef int score_all(int method, const f32[:, ::1] values, f32[::1] out) except -1:
    check_buffers(1, out, values)
    agree("out", out.shape[0], "values", values.shape[0])
    if values.shape[0]:
        with nogil:
            tokens_score(method, &values[0, 0], values.shape[0], values.shape[1], &out[0])
    return 0


def magnitude(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the length of each token, at most the largest float."""
    score_all(OF_MAGNITUDE, values, out)


def max_abs(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write the largest magnitude within each token."""
    score_all(OF_MAX_ABS, values, out)


def entropy(
    const f32[:, ::1] values,   # IN
    f32[::1] out,               # OUT
):
    """Write -sum p ln p of p = |x| / sum|x| for each token; 0 for a zero token."""
    score_all(OF_ENTROPY, values, out)


def select_top(
    const f32[::1] scores,      # IN
    u32[::1] kept,              # OUT
):
    """Write the ascending positions of the best scores; ties keep the lower position."""
    check_buffers(1, kept, scores)
    if kept.shape[0] > scores.shape[0]:
        raise ValueError(f"kept holds {kept.shape[0]}, scores holds {scores.shape[0]}")
    with nogil:
        tokens_select_top(&scores[0], scores.shape[0], &kept[0], kept.shape[0])


def gather(
    const f32[:, ::1] values,   # IN
    const u32[::1] kept,        # IN
    f32[:, ::1] out,            # OUT
):
    """Write the kept rows one after another."""
    cdef Py_ssize_t i
    check_buffers(1, out, values, kept)
    agree("out", out.shape[0], "kept", kept.shape[0])
    agree("a row of out", out.shape[1], "a row of values", values.shape[1])
    for i in range(kept.shape[0]):
        if kept[i] >= values.shape[0]:
            raise ValueError(f"kept names row {kept[i]} of {values.shape[0]}")
    with nogil:
        copy_rows(&values[0, 0], values.shape[1], &kept[0], kept.shape[0], &out[0, 0])


def prune(
    object values,      # IN f32[n, dim]
    int method,
    object scores,      # OUT f32[n]
    object kept,        # OUT u32[k]
    object out,         # OUT f32[k, dim]
):
    """Write the scores of a text's tokens, the ascending positions of the k best, and those.

    `method` is MAGNITUDE, MAX_ABS or ENTROPY.
    """
    cdef:
        const f32 *rows = <const f32 *>shaped(values, np.NPY_FLOAT32, 2, "values")
        f32 *scores_at = <f32 *>writable(scores, np.NPY_FLOAT32, 1, "scores")
        u32 *kept_at = <u32 *>writable(kept, np.NPY_UINT32, 1, "kept")
        f32 *out_at = <f32 *>writable(out, np.NPY_FLOAT32, 2, "out")
        Py_ssize_t n = np.PyArray_DIM(values, 0), dim = np.PyArray_DIM(values, 1)
        Py_ssize_t k = np.PyArray_DIM(kept, 0), size, kept_size, row
    require_method(method)
    agree("scores", np.PyArray_DIM(scores, 0), "values", n)
    agree("out", np.PyArray_DIM(out, 0), "kept", k)
    agree("a row of out", np.PyArray_DIM(out, 1), "a row of values", dim)
    if k > n:
        raise ValueError(f"kept holds {k}, values holds {n}")
    size, kept_size, row = n * sizeof(f32), k * sizeof(u32), dim * sizeof(f32)
    require_apart("scores", scores_at, size, "values", rows, n * row)
    require_apart("kept", kept_at, kept_size, "values", rows, n * row)
    require_apart("kept", kept_at, kept_size, "scores", scores_at, size)
    require_apart("out", out_at, k * row, "values", rows, n * row)
    require_apart("out", out_at, k * row, "scores", scores_at, size)
    require_apart("out", out_at, k * row, "kept", kept_at, kept_size)
    with nogil:
        tokens_prune(method, rows, n, dim, scores_at, kept_at, k, out_at)


def prune_documents(
    const f32[:, ::1] values,       # IN
    const i64[::1] offsets,         # IN
    int method,
    f32[::1] scores,                # OUT
    u32[::1] kept,                  # OUT
    const i64[::1] kept_offsets,    # IN
    f32[:, ::1] out,                # OUT
):
    """Prune documents that lie one after another, as `prune` does each.

    The rows of document i begin at offsets[i], its kept positions and rows at kept_offsets[i].
    """
    cdef:
        Py_ssize_t i, n = offsets.shape[0] - 1, dim = values.shape[1]
    check_buffers(3, scores, kept, out, values, offsets, kept_offsets)
    require_method(method)
    agree("kept_offsets", kept_offsets.shape[0], "offsets", n + 1)
    agree("scores", scores.shape[0], "values", values.shape[0])
    agree("out", out.shape[0], "kept", kept.shape[0])
    agree("a row of out", out.shape[1], "a row of values", dim)
    check_offsets("offsets", offsets, values.shape[0])
    check_offsets("kept_offsets", kept_offsets, kept.shape[0])
    for i in range(n):
        if kept_offsets[i + 1] - kept_offsets[i] > offsets[i + 1] - offsets[i]:
            raise ValueError(f"document {i} has fewer tokens than it should keep")
    with nogil:
        for i in range(n):
            tokens_prune(
                method, &values[offsets[i], 0], offsets[i + 1] - offsets[i], dim,
                &scores[offsets[i]], &kept[kept_offsets[i]],
                kept_offsets[i + 1] - kept_offsets[i], &out[kept_offsets[i], 0],
            )
