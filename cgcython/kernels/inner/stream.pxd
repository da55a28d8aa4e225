"""Results of work too large for any cache, written around the caches in whole lines."""
from cgcython.kernels.inner.types cimport f32, u8
from cgcython.kernels.inner.simd.vector cimport LANES, vf

cdef extern from "inner/stream.h" nogil:
    enum:
        LINE "CG_LINE"
    Py_ssize_t before_line "cg_before_line"(const void *to)
    void stream_line "cg_stream_line"(u8 *to, const u8 *source)
    void stream_floats "cg_stream_floats"(f32 *to, vf values)
    void end_stream "cg_stream_end"()

cdef enum:
    STREAMED = 3 << 24  # bytes of floats that no cache holds; in one, plain stores are faster


cdef inline bint is_streamed(Py_ssize_t size) noexcept nogil:
    """Return whether floats are so many bytes; narrow vectors gain nothing by it."""
    return size >= STREAMED and LANES > 4
