"""The levels of this machine that multiply and add in one rounding, and so return the same bits."""

from cgcython.kernels import dispatch

FUSING = [
    level for level in dispatch.available() if level in ("v3", "v4", "v4n", "v4x", "neon", "dot")
]
