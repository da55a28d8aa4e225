"""Late interaction on E4M3 tokens as bytes by definition; see the compiled module."""

import numpy as np

from cgcython.kernels.reference import maxsim_integers
from cgcython.kernels.reference.documents import check_documents
from cgcython.kernels.reference.door import agree, writes
from cgcython.kernels.reference.integers import F32, WIDEST, check_plane

SIZES = np.arange(128)
UNITS = np.where(SIZES < 8, SIZES, (8 + SIZES % 8) << np.maximum(SIZES // 8 - 1, 0))  # of 2**-9
UNITS = np.concatenate([UNITS, -UNITS])
LARGEST = 448 << 9
BYTES = np.rint(UNITS * 127 / LARGEST).astype(np.int8)
NAN = np.arange(256) & 0x7F == 0x7F
BYTES[NAN] = 0


def pays():
    """Return whether scores of bytes are faster than those of codes at this level."""
    return False


@writes("norms", "distances")
def measure(codes, norms, distances):
    """Write what score multiplies products of E4M3 tokens with, and how far it may be off.

    Codes become signed bytes, 448 becomes 127. At length 1, a token and its bytes are `distances`
    apart: no cosine with either differs by more. A token without direction has the norm NaN.
    """
    if codes.shape[1] > WIDEST:
        raise ValueError(f"a token holds {codes.shape[1]}, expected up to {WIDEST}")
    agree("norms", len(norms), "codes", len(codes))
    agree("distances", len(distances), "codes", len(codes))
    for i, token in enumerate(codes):
        values, numbers = UNITS[token], BYTES[token].astype(np.int64)
        squares, own = float((values * values).sum()), float((numbers * numbers).sum())
        if squares == 0 or NAN[token].any():
            norms[i], distances[i] = np.nan, 0
        elif own == 0:
            norms[i], distances[i] = 0, 1
        else:
            cosine = float((values * numbers).sum()) / (np.sqrt(squares) * np.sqrt(own))
            norms[i] = F32(1 / np.sqrt(own))
            distances[i] = F32(np.sqrt(2 * max(0.0, 1 - cosine)) * (1 + 1e-6))


@writes("sums")
def score(packed, num_query, codes, norms, starts, counts, sums):
    """Write each document's sum over query tokens of the best cosine with E4M3 tokens as bytes.

    `packed` is one plane of maxsim_integers.pack_query, `norms` is what measure wrote.
    """
    check_plane(packed, num_query, codes.shape[1])
    check_documents(starts, counts, sums, len(codes))
    agree("norms", len(norms), "codes", len(codes))
    numbers = BYTES[codes].view(np.uint8)
    maxsim_integers.score(packed, num_query, numbers, 8, norms, starts, counts, sums)
