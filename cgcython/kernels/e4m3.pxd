from cgcython.kernels._vector cimport f32, u8

cdef void e4m3_encode(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil
cdef void e4m3_decode(
    const u8 *codes, f32 scale, f32 bias, f32 *values, Py_ssize_t n
) noexcept nogil
cdef f32 e4m3_encode_scaled(const f32 *values, u8 *codes, Py_ssize_t n) noexcept nogil
