/* x86-64, from SSE4.2 (v2) to AVX-512. */
#ifndef CGCYTHON_X86_H
#define CGCYTHON_X86_H

#include <immintrin.h>

#include "inner/simd/x86/floats.h"
#include "inner/simd/x86/halves.h"
#include "inner/simd/x86/integers.h"
#include "inner/simd/x86/bytes.h"

#endif
