"""Residual codes by definition: a beam of partial codes that grows by one centroid a stage.

Products are rounded before they are added, in order, and the search adds whole numbers, so that
every level and every machine finds the same codes.
"""

import numpy as np

from cgcython.kernels.reference.door import writes

KSUB, STRIP = 256, 64
MOST_STAGES = 32
MOST_SHIFT = 16
BOUND = np.float32(1 << 28)  # of a term


@writes("out")
def product(values, strips, out):
    """Write values [n, d] @ matrix [d, c], whose columns lie in strips [c / 64, d, 64]."""
    shape, expected = strips.shape, (out.shape[1] // STRIP, values.shape[1], STRIP)
    if shape != expected or out.shape[1] % STRIP or len(out) != len(values):
        raise ValueError(f"values are {values.shape}, strips {shape}, out {out.shape}")
    matrix = strips.transpose(1, 0, 2).reshape(values.shape[1], out.shape[1])
    out[:] = 0
    with np.errstate(all="ignore"):
        for k, row in enumerate(matrix):
            out += values[:, k, None] * row


@writes("codes", "scores")
def search(products, norms, cross, shifts, unit, first, codes, scores):
    """Extend beams of codes [n, beam, M] by some stages, from stage `first` on; best first.

    `products` are those of rows with the stages' centroids, whose squares are `norms`
    f32 [stages * 256]. `cross` i16 [pairs, 256, 256] holds twice the products of two centroids,
    stage m's with an earlier stage i's at m * (m - 1) / 2 + i, in units of 2**shift / unit, the
    shift that of the pair. `scores` i32 [n, beam] are squared distances less those of the rows,
    in units of 1 / unit. Of equal candidates the first stay.
    """
    stages = _checked(products, norms, cross, shifts, first, codes, scores)
    for stage in range(first, first + stages):
        columns = slice((stage - first) * KSUB, (stage - first + 1) * KSUB)
        total = _terms(products[:, columns], norms[columns], unit)[:, None]
        if stage:
            total = total + scores[:, :, None]
        for i in range(stage):
            pair = stage * (stage - 1) // 2 + i
            total += cross[pair][codes[:, :, i]] * np.int32(1 << int(shifts[pair]))
        _keep_best(total.reshape(len(codes), total.shape[1] * KSUB), stage, codes, scores)


def _terms(products, norms, unit):
    """Return what each centroid alone adds to a score, in whole units."""
    with np.errstate(all="ignore"):
        exact = (norms - np.float32(2) * products) * np.float32(unit)
        below = np.where(exact < BOUND, exact, BOUND)
        return np.rint(np.where(below > -BOUND, below, -BOUND)).astype(np.int32)


def _keep_best(total, stage, codes, scores):
    best = np.argsort(total, axis=1, kind="stable")[:, : scores.shape[1]]
    scores[:] = np.take_along_axis(total, best, axis=1)
    if stage:
        codes[:] = np.take_along_axis(codes, best[:, :, None] // KSUB, axis=1)
    codes[:, :, stage] = best % KSUB


def _checked(products, norms, cross, shifts, first, codes, scores):
    n, beam, M = codes.shape
    stages = len(norms) // KSUB
    fits = products.shape == (n, len(norms)) and len(norms) % KSUB == 0
    if not fits or scores.shape != (n, beam) or not 1 <= beam <= KSUB:
        raise ValueError(
            f"products are {products.shape}, norms hold {len(norms)}, codes are {codes.shape}, "
            f"scores {scores.shape}"
        )
    last = first + stages
    if not (first >= 0 and last <= min(M, MOST_STAGES)):
        raise ValueError(f"stages {first} to {last} of {M}, of {MOST_STAGES} at most")
    if cross.shape[1:] != (KSUB, KSUB) or len(cross) < last * (last - 1) // 2:
        raise ValueError(f"cross is {cross.shape}, too few for {last} stages")
    if shifts.shape != cross.shape[:1] or shifts.max(initial=0) > MOST_SHIFT:
        raise ValueError(f"shifts hold {len(shifts)} up to {shifts.max(initial=0)}")
    return stages


@writes("out")
def sums(codes, centroids, out):
    """Write the sum [n, width] of the centroids [M, 256, width] that each row of codes names."""
    M, ksub, width = centroids.shape
    if codes.shape != (len(out), M) or ksub != KSUB or out.shape[1] != width:
        raise ValueError(f"codes are {codes.shape}, centroids {centroids.shape}, out {out.shape}")
    out[:] = 0
    with np.errstate(all="ignore"):
        for m in range(M):
            out += centroids[m][codes[:, m]]
