cdef float dense_dot(const float *a, const float *b, Py_ssize_t n) noexcept nogil
cdef float dense_cosine(const float *a, const float *b, Py_ssize_t n) noexcept nogil
