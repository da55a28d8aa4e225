"""Which tokens matter: scores, selection of the best, and coverage of all by some.

Coverage is decided in whole numbers, so that every level keeps the same tokens.
"""
from libc.string cimport memcpy
cimport numpy as np
from cgcython.kernels._coverage cimport MOST_TOKENS, Cover, cover, lay_out
from cgcython.kernels._door cimport agree, shaped, writable
from cgcython.kernels._scores cimport SOME, entropies_of, magnitude_of, max_abs_of
from cgcython.kernels._select cimport keep_best
from cgcython.kernels._types cimport f32, i64, u8, u32
from cgcython.kernels._vector cimport LANES, load, store
from cgcython.kernels._ward cimport Ward, cluster_tokens, lay_out_ward

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


cdef int score_all(int method, const f32[:, ::1] values, f32[::1] out) except -1:
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
        Py_ssize_t k = np.PyArray_DIM(kept, 0)
    agree("scores", np.PyArray_DIM(scores, 0), "values", n)
    agree("out", np.PyArray_DIM(out, 0), "kept", k)
    agree("a row of out", np.PyArray_DIM(out, 1), "a row of values", dim)
    if k > n:
        raise ValueError(f"kept holds {k}, values holds {n}")
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


cdef int check_offsets(str what, const i64[::1] offsets, Py_ssize_t rows) except -1:
    cdef Py_ssize_t i
    if offsets.shape[0] == 0 or offsets[0] < 0 or offsets[offsets.shape[0] - 1] > rows:
        raise ValueError(f"{what} leave {rows} rows")
    for i in range(offsets.shape[0] - 1):
        if offsets[i] > offsets[i + 1]:
            raise ValueError(f"{what} fall at {i}")
    return 0


def coverage_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `coverage` needs as scratch."""
    cdef Cover c
    return lay_out(&c, tokens, dim, NULL)


cdef void cover_text(
    const f32 *values, Py_ssize_t n, Py_ssize_t dim, u32 *kept, f32 *gains, Py_ssize_t k,
    u8 *scratch
) noexcept nogil:
    cdef:
        Cover c
        Py_ssize_t i, at = 0
    if k == 0:
        return
    lay_out(&c, n, dim, scratch)
    cover(values, &c, k)
    for i in range(n):
        if c.gains[i] >= 0:
            kept[at], gains[at] = <u32>i, <f32>c.gains[i] * <f32>(1.0 / 32768)
            at += 1


cdef int check_cover(
    Py_ssize_t n, Py_ssize_t dim, Py_ssize_t k, const u8[::1] scratch
) except -1:
    cdef Cover c
    if k > n:
        raise ValueError(f"kept holds {k}, values holds {n} rows")
    if n > MOST_TOKENS:
        raise ValueError(f"values holds {n} rows, coverage takes {MOST_TOKENS}")
    if scratch.shape[0] < lay_out(&c, n, dim, NULL):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see coverage_scratch")
    return 0


def coverage(
    const f32[:, ::1] values,   # IN
    u32[::1] kept,              # OUT
    f32[::1] gains,             # OUT
    u8[::1] scratch,
):
    """Write the tokens that best cover all others, ascending, and what each one added.

    Greedy facility location: each pick adds most to the sum over tokens of the best cosine with
    a kept one, ties to the lower position.
    """
    cdef Py_ssize_t k = kept.shape[0], n = values.shape[0], dim = values.shape[1]
    agree("gains", gains.shape[0], "kept", k)
    check_cover(n, dim, k, scratch)
    with nogil:
        cover_text(&values[0, 0], n, dim, &kept[0], &gains[0], k, &scratch[0])


def coverage_documents(
    const f32[:, ::1] values,       # IN
    const i64[::1] offsets,         # IN
    u32[::1] kept,                  # OUT
    const i64[::1] kept_offsets,    # IN
    f32[::1] gains,                 # OUT
    u8[::1] scratch,
):
    """Cover documents that lie one after another, as `coverage` does each.

    The rows of document i begin at offsets[i], its kept positions and gains at kept_offsets[i].
    """
    cdef Py_ssize_t i, n = offsets.shape[0] - 1, dim = values.shape[1]
    agree("kept_offsets", kept_offsets.shape[0], "offsets", n + 1)
    agree("gains", gains.shape[0], "kept", kept.shape[0])
    check_offsets("offsets", offsets, values.shape[0])
    check_offsets("kept_offsets", kept_offsets, kept.shape[0])
    for i in range(n):
        check_cover(
            offsets[i + 1] - offsets[i], dim, kept_offsets[i + 1] - kept_offsets[i], scratch
        )
    with nogil:
        for i in range(n):
            cover_text(
                &values[offsets[i], 0], offsets[i + 1] - offsets[i], dim,
                &kept[kept_offsets[i]], &gains[kept_offsets[i]],
                kept_offsets[i + 1] - kept_offsets[i], &scratch[0],
            )


def cluster_scratch(Py_ssize_t tokens, Py_ssize_t dim):
    """Return how many bytes `cluster` needs as scratch."""
    cdef:
        Cover c
        Ward w
    return lay_out(&c, tokens, dim, NULL) + lay_out_ward(&w, tokens, NULL)


def cluster(
    const f32[:, ::1] values,   # IN
    u32[::1] labels,            # OUT
    Py_ssize_t num_clusters,
    u8[::1] scratch,
):
    """Write the cluster of each token by Ward's method, numbered by their lowest tokens.

    The two clusters whose merging moves centres least become one, the lower pair of equals,
    until so many are left. Only directions count.
    """
    cdef:
        Cover c
        Ward w
        Py_ssize_t n = values.shape[0], dim = values.shape[1], size
    agree("labels", labels.shape[0], "values", n)
    if not min(n, 1) <= num_clusters <= n:
        raise ValueError(f"num_clusters is {num_clusters}, values holds {n} rows")
    if n > MOST_TOKENS:
        raise ValueError(f"values holds {n} rows, cluster takes {MOST_TOKENS}")
    size = lay_out(&c, n, dim, NULL)
    if scratch.shape[0] < size + lay_out_ward(&w, n, NULL):
        raise ValueError(f"scratch holds {scratch.shape[0]} bytes, see cluster_scratch")
    if n == 0:
        return
    with nogil:
        lay_out(&c, n, dim, &scratch[0])
        lay_out_ward(&w, n, <u8 *>(c.gains + c.stride))
        cluster_tokens(&values[0, 0], &c, &w, num_clusters, &labels[0])
