"""The k best of scores that come one by one: a heap whose root is the least of them."""
from cgcython.kernels.inner.types cimport f32


cdef inline void push(f32 *heap, Py_ssize_t k, Py_ssize_t *held, f32 score) noexcept nogil:
    """Keep a score among the k best: it is better than the least, or there are fewer."""
    cdef Py_ssize_t at, other
    if held[0] < k:
        at = held[0]
        held[0] += 1
        while at and heap[(at - 1) >> 1] > score:
            heap[at] = heap[(at - 1) >> 1]
            at = (at - 1) >> 1
    else:
        at, other = 0, 1
        while other < k:
            other += other + 1 < k and heap[other + 1] < heap[other]
            if heap[other] >= score:
                break
            heap[at] = heap[other]
            at, other = other, 2 * other + 1
    heap[at] = score
