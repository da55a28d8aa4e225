/* ARM's 64-bit processors: NEON, and what later ones add. */
#ifndef CGCYTHON_NEON_H
#define CGCYTHON_NEON_H

#include <arm_neon.h>

#include "inner/simd/neon/floats.h"
#include "inner/simd/neon/halves.h"
#include "inner/simd/neon/integers.h"
#include "inner/simd/neon/bytes.h"

#endif
