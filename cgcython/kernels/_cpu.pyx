"""Which processor levels this machine runs, as the compiler's run time sees them."""

cdef extern from *:
    """
    #if defined(__x86_64__)
    #define HAS(feature) (__builtin_cpu_supports(feature) != 0)
    static int cg_level(void) {
        __builtin_cpu_init();
        if (!(HAS("popcnt") && HAS("sse4.2") && HAS("ssse3"))) return 0;
        if (!(HAS("avx2") && HAS("bmi") && HAS("bmi2") && HAS("fma"))) return 1;
        if (!(HAS("avx512f") && HAS("avx512bw") && HAS("avx512cd") && HAS("avx512dq")
              && HAS("avx512vl"))) return 2;
        if (!HAS("avx512vnni")) return 3;
        if (!(HAS("avx512bf16") && HAS("avx512vbmi") && HAS("avx512vpopcntdq")
              && HAS("avx512bitalg"))) return 4;
        return 5;
    }
    #else
    static int cg_level(void) { return 0; }
    #endif
    """
    int cg_level() noexcept nogil


def levels():
    """Return the names of the levels this processor runs, slowest first."""
    return ["v2", "v3", "v4", "v4n", "v4x"][:cg_level()]
