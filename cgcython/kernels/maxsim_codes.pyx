"""Late interaction on E4M3 tokens as signed bytes: a fast estimate whose error is known.

A code's value times 127 / 448 is rounded to a byte, so that dots are those of small integers. Let u
be a query token and v a document's at length 1, u~ and v~ the bytes of each at length 1. Then
|u.v - u~.v~| = |(u - u~).v + u~.(v - v~)| <= |u - u~| + |v - v~|, and so much at most does the best
cosine among tokens differ. Codes are read where they lie: a first pass costs no copy of them. Dots
are exact and the few float steps behind them are the same everywhere: all levels return the same
bits.
"""
from cgcython.kernels.inner.integers.code_bytes cimport PAYS, measure_token, score_of_codes
from cgcython.kernels.inner.maxsim.document_door cimport check_documents
from cgcython.kernels.inner.door cimport agree, check_buffers
from cgcython.kernels.inner.integers.query cimport WIDEST
from cgcython.kernels.inner.integers.tiles cimport groups_of, i8
from cgcython.kernels.inner.integers.plane_door cimport check_plane
from cgcython.kernels.inner.types cimport f32, i64, u8


cdef void maxsim_codes_measure(
    const u8 *codes, Py_ssize_t count, Py_ssize_t dim, f32 *norms, f32 *distances
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        measure_token(codes + i * dim, dim, norms + i, distances + i)


cdef void maxsim_codes_score(
    const i8 *packed, Py_ssize_t num_query, Py_ssize_t dim, const u8 *codes, const f32 *norms,
    const i64 *starts, const i64 *counts, Py_ssize_t documents, f32 *sums
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(documents):
        sums[i] = score_of_codes(
            packed, groups_of(dim) + 2, num_query, codes + starts[i] * dim, norms + starts[i],
            counts[i], dim,
        )


def pays():
    """Return whether scores of bytes are faster than those of codes at this level."""
    return bool(PAYS)


def measure(
    const u8[:, ::1] codes,         # IN
    f32[::1] norms,                 # OUT
    f32[::1] distances,             # OUT
):
    """Write what score multiplies products of E4M3 tokens with, and how far it may be off.

    Codes become signed bytes, 448 becomes 127. At length 1, a token and its bytes are `distances`
    apart: no cosine with either differs by more. A token without direction has the norm NaN.
    """
    check_buffers(2, norms, distances, codes)
    if codes.shape[1] > WIDEST:
        raise ValueError(f"a token holds {codes.shape[1]}, expected up to {WIDEST}")
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    agree("distances", distances.shape[0], "codes", codes.shape[0])
    with nogil:
        maxsim_codes_measure(
            &codes[0, 0], codes.shape[0], codes.shape[1], &norms[0], &distances[0]
        )


def score(
    const i8[:, :, ::1] packed,     # IN
    Py_ssize_t num_query,
    const u8[:, ::1] codes,         # IN
    const f32[::1] norms,           # IN
    const i64[::1] starts,          # IN
    const i64[::1] counts,          # IN
    f32[::1] sums,                  # OUT
):
    """Write each document's sum over query tokens of the best cosine with E4M3 tokens as bytes.

    `packed` is one plane of maxsim_integers.pack_query, `norms` is what measure wrote.
    """
    cdef Py_ssize_t dim = codes.shape[1]
    check_buffers(1, sums, packed, codes, norms, starts, counts)
    check_plane(&packed.shape[0], num_query, dim)
    check_documents(starts, counts, sums, codes.shape[0], 1)
    agree("norms", norms.shape[0], "codes", codes.shape[0])
    with nogil:
        maxsim_codes_score(
            &packed[0, 0, 0], num_query, dim, &codes[0, 0], &norms[0], &starts[0], &counts[0],
            starts.shape[0], &sums[0]
        )
