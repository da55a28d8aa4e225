"""Calls every function of the outside extension and checks what comes back."""

import numpy as np
import outside

values, codes = np.array([1, 2, -0.5, 448], np.float32), np.empty(4, np.uint8)
outside.encode(values, codes)
assert codes.tolist() == [0x38, 0x40, 0xB0, 0x7E]
assert outside.distance(codes, codes ^ 3) == 8
assert outside.dot(values, values) == 1 + 4 + 0.25 + 448**2
indices, weights = np.array([0, 3], np.uint32), np.array([1, 2], np.float32)
assert outside.sparse_product(values, indices, weights) == 1 + 2 * 448
assert outside.sparse_product(values, indices + 1, weights) is None
assert outside.compact_size(1526, 30522) == 4245
