"""Cells of tokens by definition; see the compiled module for layouts."""

import numpy as np

from cgcython.kernels.reference.door import agree, check_offsets, writes
from cgcython.kernels.reference.integers import F32, check_plane, groups_of, unpacked


@writes("cells", "cosines")
def nearest(packed, num_tokens, codes, norms, cells, cosines):
    """Write the cells nearest to each token by cosine, the nearest first, equals in their order.

    `packed` is one plane of maxsim_integers.pack_query, `codes` int8 and `norms` are those of the
    centroids. Where there are fewer cells than asked for, or a token has no direction: -1, and 0.
    """
    _check_nearest(packed, num_tokens, codes, norms, cells, cosines)
    cells[:], cosines[:] = -1, 0
    if not cells.size or not len(codes):
        return
    tokens = unpacked(packed, groups_of(codes.shape[1]))[:num_tokens]
    inverse = packed[:, -1].view(F32).reshape(-1)[:num_tokens].astype(float)
    numbers = codes.view(np.int8).astype(np.int64)
    table = (tokens[:, : numbers.shape[1]] @ numbers.T).astype(F32) * norms
    for token in np.flatnonzero(inverse):
        row = table[token]
        found = np.flatnonzero(row > -np.inf)
        best = found[np.argsort(-row[found], kind="stable")][: cells.shape[1]]
        cells[token, : len(best)] = best
        cosines[token, : len(best)] = row[best].astype(float) * inverse[token]


def _check_nearest(packed, num_tokens, codes, norms, cells, cosines):
    check_plane(packed, num_tokens, codes.shape[1])
    agree("norms", len(norms), "codes", len(codes))
    agree("cells", len(cells), "packed", num_tokens)
    agree("cosines", len(cosines), "packed", num_tokens)
    agree("a row of cosines", cosines.shape[1], "a row of cells", cells.shape[1])


@writes("marks", "sums")
def accumulate(cells, gains, offsets, documents, marks, sums):
    """Write each document's sum over tokens of the gain of the first of its cells in the row.

    The documents of cell c are `documents[offsets[c]:offsets[c + 1]]`; a cell below 0 has none.
    `marks` are scratch. Returns how many entries of lists were read.
    """
    agree("gains", len(gains), "cells", len(cells))
    agree("a row of gains", gains.shape[1], "a row of cells", cells.shape[1])
    agree("marks", len(marks), "sums", len(sums))
    check_offsets("offsets", offsets, len(documents))
    if cells.size and cells.max() >= len(offsets) - 1:
        raise ValueError(f"cell {cells.max()} is none of {len(offsets) - 1}")
    marks[:], sums[:], read = 0, 0, 0
    for mark, row in enumerate(zip(cells, gains), 1):
        for cell, gain in zip(*row):
            found = documents[offsets[cell] : offsets[cell + 1]] if cell >= 0 else documents[:0]
            if len(found) and found.max() >= len(sums):
                raise ValueError(f"a list holds a document that is none of {len(sums)}")
            fresh = found[marks[found] != mark]
            sums[fresh] += gain
            marks[found] = mark
            read += len(found)
    return read
