"""E4M3 codes to floats in registers, for every kernel that scores codes where they lie."""
from cgcython.kernels._types cimport u32
from cgcython.kernels._vector cimport (
    below, bits, floats, select, set_all_u, vf, vu,
)


cdef inline vf decode_lanes(vu code) noexcept nogil:
    cdef:
        vu size = (code & <u32>0x7F) << 20
        vf normal = floats(size + <u32>(120 << 23))
        vf tiny = floats(size + <u32>(121 << 23)) - floats(set_all_u(121 << 23))
        vu is_tiny = below(size, set_all_u(1 << 23))
        vu is_nan = below(set_all_u(0x7E << 20), size)
        vu value = select(is_tiny, bits(tiny), bits(normal)) | (is_nan & <u32>0x7FC00000)
    return floats(value | ((code & <u32>0x80) << 24))
