"""Faults planted on purpose: the sanitizers must find each of them, or they find nothing."""
from libc.stdlib cimport malloc


def read_behind(const unsigned char[::1] values):
    """Read the byte behind an array."""
    return (&values[0])[values.shape[0]]


def overflow(int value):
    """Add one, which the largest int does not survive."""
    return value + 1


def leak(Py_ssize_t size):
    """Forget some memory."""
    cdef unsigned char *space = <unsigned char *>malloc(size)
    space[0] = 1
    return space[0]
