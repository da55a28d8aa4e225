"""Types of the kernels that measure the machine."""

import numpy as np
from numpy.typing import NDArray

def fma(rounds: int) -> int: ...
def read(values: NDArray[np.float32]) -> float: ...
