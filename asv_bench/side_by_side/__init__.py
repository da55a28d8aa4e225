"""Whole searches beside those of other packages: the lines of end_to_end.py, by their kind."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"  # before the packages that read them
