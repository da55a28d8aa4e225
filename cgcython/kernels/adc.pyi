"""Types of the scans over codes of product quantization; OUT arrays are written."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

def scan(table: F32, codes: U8, out: F32) -> None: ...
def cosine(
    dots: F32, norms: F32, dot_constant: float, norm_constant: float, codes: U8, out: F32
) -> None: ...
def topk(table: F32, codes: U8, ids: NDArray[np.int64], best: F32) -> None: ...
