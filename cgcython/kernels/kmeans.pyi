"""Types of the k-means steps; sums, counts and distances are read and written."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

def shrink_distances(values: F32, centre: F32, distances: F32) -> None: ...
def accumulate(
    values: F32, codes: NDArray[np.uint8], sums: NDArray[np.float64], counts: NDArray[np.int64]
) -> None: ...
