"""The machine's own limits, to hold the other kernels against: FMA rate and memory streams."""
from cgcython.kernels.inner.door cimport check_buffers
from cgcython.kernels.inner.types cimport f32
from cgcython.kernels.inner.simd.vector cimport LANES, load, set_all, store, vf


cdef enum:
    ROW = 16        # values side by side; a multiple of every level's vector
    FOLD = 4 * ROW  # values beside one row of a stream four times as narrow
    MOST_ROUNDS = 1 << 30  # seconds, which no signal shortens


cdef inline f32 total(vf v) noexcept nogil:
    cdef:
        f32[64] lanes
        f32 found = 0
        int i
    store(lanes, v)
    for i in range(LANES):
        found += lanes[i]
    return found


def fma(Py_ssize_t rounds):
    """Run `rounds` times 12 independent multiply-adds on whole vectors; return their flops.

    Twelve chains hide the latency of the multiply-add on every x86-64 core made so far. Each
    alternates between two values of many bits, as work on data does: one that settles draws less
    power and runs faster. The factor is not -1, which would make it a subtraction.
    """
    cdef:
        vf a = set_all(-0.99999994), b = set_all(0.7), step = set_all(0.0137)
        # Each chain starts elsewhere: equal chains would be computed once.
        vf c0 = step, c1 = c0 + step, c2 = c1 + step, c3 = c2 + step, c4 = c3 + step
        vf c5 = c4 + step, c6 = c5 + step, c7 = c6 + step, c8 = c7 + step, c9 = c8 + step
        vf c10 = c9 + step, c11 = c10 + step
        Py_ssize_t _
        f32 kept
    if not 0 <= rounds <= MOST_ROUNDS:
        raise ValueError(f"rounds is {rounds}, expected 0 to {MOST_ROUNDS}")
    with nogil:
        for _ in range(rounds):
            c0 = c0 * a + b
            c1 = c1 * a + b
            c2 = c2 * a + b
            c3 = c3 * a + b
            c4 = c4 * a + b
            c5 = c5 * a + b
            c6 = c6 * a + b
            c7 = c7 * a + b
            c8 = c8 * a + b
            c9 = c9 * a + b
            c10 = c10 * a + b
            c11 = c11 * a + b
        kept = total(c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9 + c10 + c11)
    # All chains stay between 0 and 1; using their sum keeps the compiler from dropping the loop.
    return 24 * LANES * rounds if kept > 0 else 0


def read(
    const f32[::1] values,  # IN
):
    """Return the sum of values, read once from front to back."""
    cdef:
        Py_ssize_t i = 0, n = values.shape[0]
        vf s0 = set_all(0), s1 = s0, s2 = s0, s3 = s0
        const f32 *x
        f32 found
    check_buffers(0, values)
    if n == 0:
        return 0.0
    x = &values[0]
    with nogil:
        while i + 4 * LANES <= n:
            s0 = s0 + load(x + i)
            s1 = s1 + load(x + i + LANES)
            s2 = s2 + load(x + i + 2 * LANES)
            s3 = s3 + load(x + i + 3 * LANES)
            i += 4 * LANES
        found = total(s0 + s1 + s2 + s3)
        while i < n:
            found += x[i]
            i += 1
    return found


cdef int require_stream(Py_ssize_t wide, Py_ssize_t narrow) except -1:
    if wide != 4 * narrow or wide % FOLD:
        raise ValueError(f"{wide} and {narrow} values, expected 4 to 1 in multiples of {FOLD}")
    return 0


def narrow(
    const f32[::1] values,  # IN
    f32[::1] out,           # OUT
):
    """Write the sums of four rows of 16 values each: reads four bytes for each byte written."""
    cdef Py_ssize_t i, j
    check_buffers(1, out, values)
    require_stream(values.shape[0], out.shape[0])
    with nogil:
        for i in range(values.shape[0] // FOLD):
            for j in range(ROW // LANES):
                store(&out[i * ROW + j * LANES], four(&values[i * FOLD + j * LANES]))


cdef inline vf four(const f32 *x) noexcept nogil:
    return load(x) + load(x + ROW) + load(x + 2 * ROW) + load(x + 3 * ROW)


def widen(
    const f32[::1] values,  # IN
    f32[::1] out,           # OUT
):
    """Write each row of 16 values four times: writes four bytes for each byte read."""
    cdef Py_ssize_t i, j
    check_buffers(1, out, values)
    require_stream(out.shape[0], values.shape[0])
    with nogil:
        for i in range(out.shape[0] // FOLD):
            for j in range(FOLD // LANES):
                store(&out[i * FOLD + j * LANES], load(&values[i * ROW + j * LANES % ROW]))
