"""Loops over arrays, compiled once per processor level; no policy.

Call through the package, `kernels.e4m3.encode(...)`: the families are rebound when the level
changes. `CGCYTHON_LEVEL` (reference, generic, v2, v3, v4, v4n, v4x, neon, dot) forces a level.
"""

from cgcython.kernels import dispatch

dispatch.use_best()
