/* What the processor that runs can do, beyond what its architecture promises. */
#ifndef CGCYTHON_PROCESSOR_H
#define CGCYTHON_PROCESSOR_H

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__aarch64__) && defined(_WIN32)
#include <windows.h>
#endif

/* How many of v2, v3, v4, v4n and v4x run here. */
static int cg_x86_levels(void) {
#if defined(__x86_64__)
#define CG_HAS(feature) (__builtin_cpu_supports(feature) != 0)
    __builtin_cpu_init();
    if (!(CG_HAS("popcnt") && CG_HAS("sse4.2") && CG_HAS("ssse3"))) return 0;
    if (!(CG_HAS("avx2") && CG_HAS("bmi") && CG_HAS("bmi2") && CG_HAS("fma"))) return 1;
    if (!(CG_HAS("avx512f") && CG_HAS("avx512bw") && CG_HAS("avx512cd") && CG_HAS("avx512dq")
          && CG_HAS("avx512vl"))) return 2;
    if (!CG_HAS("avx512vnni")) return 3;
    if (!(CG_HAS("avx512bf16") && CG_HAS("avx512vbmi") && CG_HAS("avx512vpopcntdq")
          && CG_HAS("avx512bitalg"))) return 4;
    return 5;
#undef CG_HAS
#else
    return 0;
#endif
}

/* How many of neon and dot (products of bytes, arithmetic of float16) run here. */
static int cg_arm_levels(void) {
#if !defined(__aarch64__)
    return 0;
#elif defined(__linux__)
    const unsigned long wanted = 1UL << 20 | 1UL << 10; /* HWCAP_ASIMDDP, HWCAP_ASIMDHP */
    return (getauxval(AT_HWCAP) & wanted) == wanted ? 2 : 1;
#elif defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has ? 2 : 1;
#elif defined(_WIN32)
    return IsProcessorFeaturePresent(43) ? 2 : 1; /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
#else
    return 1;
#endif
}

#endif
