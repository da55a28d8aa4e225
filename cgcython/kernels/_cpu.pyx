"""Which processor levels this machine runs, as the processor itself says."""

cdef extern from "inner/simd/processor.h" nogil:
    int x86_levels "cg_x86_levels"()
    int arm_levels "cg_arm_levels"()


def levels():
    """Return the names of the levels this processor runs, slowest first."""
    x86, arm = ["v2", "v3", "v4", "v4n", "v4x"], ["neon", "dot"]
    return ["generic", *x86[:x86_levels()], *arm[:arm_levels()]]
