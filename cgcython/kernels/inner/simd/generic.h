/* Any processor, in the vector types of gcc and clang: what the machine's header left out. */
#ifndef CGCYTHON_GENERIC_H
#define CGCYTHON_GENERIC_H

#include "inner/simd/generic/floats.h"
#include "inner/simd/generic/halves.h"
#include "inner/simd/generic/integers.h"
#include "inner/simd/generic/bytes.h"

#endif
