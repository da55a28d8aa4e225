"""Powers of two that keep squares of values within float32; scaling by them changes no digit."""

import numpy as np

PLAIN_POWERS = 40  # squares of values within 2**-40 to 2**40 neither overflow nor vanish


def power_beyond(peak: float) -> int:
    """Return the power of two that brings a peak to about 1; 0 where it needs no scaling.

    >>> power_beyond(3e20), power_beyond(3.0)
    (69, 0)
    """
    power = int(np.frexp(peak)[1])
    return power if abs(power) > PLAIN_POWERS else 0
