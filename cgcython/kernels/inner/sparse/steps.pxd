"""Weights in 8 bits: their roots, signs kept, in even steps above the lowest.

Roots spread the error as weights are spread, many small and few large. Steps of the weights
themselves are twice as far off where these are log-normal, and at best a fifth nearer.
"""
from libc.math cimport copysign, fabs, rint, sqrt
from libc.string cimport memcpy
from cgcython.kernels.inner.types cimport f32, f64, u8

cdef extern from "math.h" nogil:
    f32 nextafterf(f32 x, f32 towards)
    const f32 INFINITY

cdef enum:
    STEPS_HEAD = 8
    MOST_STEPS = 255


cdef inline f64 root_of(f32 weight) noexcept nogil:
    return copysign(sqrt(fabs(<f64>weight)), weight)


cdef inline f32 not_below(f64 root) noexcept nogil:
    """The nearest f32 that is no lower, so that no weight overflows; of two zeros 0.0."""
    cdef f32 found = <f32>root + <f32>0.0
    return nextafterf(found, INFINITY) if found < root else found


cdef inline f32 step_within(f64 span) noexcept nogil:
    """The widest step of which 255 do not pass a span."""
    cdef f32 step = <f32>(span / MOST_STEPS)
    return nextafterf(step, 0) if <f64>step * MOST_STEPS > span else step


cdef inline void write_steps(const f32 *weights, Py_ssize_t nnz, u8 *data) noexcept nogil:
    cdef:
        f32 lightest = weights[0], heaviest = weights[0], lowest, step
        f64 base, width
        Py_ssize_t i
    for i in range(nnz):
        lightest = min(lightest, weights[i])
        heaviest = max(heaviest, weights[i])
    lowest = not_below(root_of(lightest))
    base = lowest
    step = step_within(max(root_of(heaviest) - base, 0.0))
    memcpy(data, &lowest, 4)
    memcpy(data + 4, &step, 4)
    width = step if step > 0 else 1.0
    for i in range(nnz):
        data[STEPS_HEAD + i] = <u8><int>rint(max((root_of(weights[i]) - base) / width, 0.0))


cdef inline bint read_steps(const u8 *data, Py_ssize_t nnz, f32 *weights) noexcept nogil:
    """Whether the step is one an encoder writes; whether weights are finite is seen later."""
    cdef:
        f32 lowest, step
        f64 base, width, root
        Py_ssize_t i
    memcpy(&lowest, data, 4)
    memcpy(&step, data + 4, 4)
    base, width = lowest, step
    for i in range(nnz):
        root = base + data[STEPS_HEAD + i] * width
        weights[i] = <f32>(root * fabs(root))
    return step >= 0
