"""The steps of k-means by definition; who calls them chooses the order and the random numbers."""

import numpy as np

from cgcython.kernels.reference.door import writes

LANES = 16


@writes("distances")
def shrink_distances(values, centre, distances):
    """Lower each distance [n] to the squared distance of its row from the centre, if that is less.

    Sixteen lanes sum side by side in float32 and are then added in a tree, on every level.
    """
    if values.shape[1] != len(centre) or len(values) != len(distances):
        raise ValueError(
            f"values are {values.shape}, centre holds {len(centre)}, distances {len(distances)}"
        )
    difference = values - centre
    padded = np.zeros((len(values), -(-len(centre) // LANES) * LANES), np.float32)
    padded[:, : len(centre)] = difference * difference
    lanes = np.zeros((len(values), LANES), np.float32)
    for start in range(0, padded.shape[1], LANES):
        lanes += padded[:, start : start + LANES]
    while lanes.shape[1] > 1:
        half = lanes.shape[1] // 2
        lanes = lanes[:, :half] + lanes[:, half:]
    np.minimum(distances, lanes[:, 0], out=distances)


@writes("sums", "counts")
def accumulate(values, codes, sums, counts):
    """Add each row to its code's sum [k, d] (float64, rows in order) and count it."""
    if values.shape != (len(codes), sums.shape[1]) or len(sums) != len(counts):
        raise ValueError(
            f"values are {values.shape}, codes hold {len(codes)}, sums are {sums.shape}, "
            f"counts hold {len(counts)}"
        )
    if len(codes) and codes.max() >= len(sums):
        raise ValueError(f"code {codes.max()} has no sum among {len(sums)}")
    np.add.at(sums, codes, values.astype(np.float64))
    counts += np.bincount(codes, minlength=len(counts))
