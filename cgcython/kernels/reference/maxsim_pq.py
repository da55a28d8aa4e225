"""Late interaction on product-quantization codes by definition: dots looked up and added."""

import numpy as np

from cgcython.kernels.reference.documents import LANES, check_documents
from cgcython.kernels.reference.door import writes


@writes("out")
def tables(packed, codebook, out):
    """Write the dots of a packed query with all centroids: [blocks, M, 256, 32].

    `packed` is what maxsim.pack_query wrote, `codebook` [M, 256, dsub].
    """
    M, ksub, dsub = codebook.shape
    _check(codebook, out.shape[1])
    if packed.shape[1:] != (M * dsub, LANES):
        raise ValueError(f"packed is {packed.shape}, expected (blocks, {M * dsub}, {LANES})")
    if out.shape != (len(packed), M, ksub, LANES):
        raise ValueError(f"out is {out.shape}, packed holds {len(packed)} blocks")
    query = packed.reshape(len(packed), M, dsub, LANES).astype(np.float64)
    with np.errstate(invalid="ignore"):  # centroids that are not finite
        out[:] = (codebook.astype(np.float64) * _scale(codebook)) @ query


@writes("out")
def squares(codebook, out):
    """Write the squared length of each centroid as inverse_norms wants it: [M, 256]."""
    _check(codebook, len(out))
    if out.shape[1] != codebook.shape[1]:
        raise ValueError(f"a row of out holds {out.shape[1]}, a code {codebook.shape[1]}")
    out[:] = np.square(codebook.astype(np.float64) * _scale(codebook)).sum(axis=2)


@writes("out")
def inverse_norms(squares, codes, out):
    """Write 1 / length of each token: NaN for one without direction."""
    _check(squares, codes.shape[1])
    if len(out) != len(codes):
        raise ValueError(f"out holds {len(out)}, codes holds {len(codes)} rows")
    found = squares[np.arange(len(squares)), codes].sum(axis=1)
    known = (found >= 2.0**-200) & (found < np.inf)
    out[:] = np.where(known, 1 / np.sqrt(np.where(known, found, 1)), np.nan)


@writes("sums")
def score(tables, num_query, codes, norms, starts, counts, sums):
    """Write each document's sum over query tokens of the best cosine.

    A document is `counts` rows of `codes` from `starts` on; `norms` is what inverse_norms wrote.
    """
    _check(tables[0] if len(tables) else np.empty(tables.shape[1:]), codes.shape[1])
    if tables.shape[3] != LANES:
        raise ValueError(f"an entry of tables holds {tables.shape[3]}, the lanes {LANES}")
    if not 0 <= num_query <= len(tables) * LANES:
        raise ValueError(f"query has {num_query} tokens, tables hold {len(tables)} blocks")
    check_documents(starts, counts, sums, len(codes))
    if len(norms) != len(codes):
        raise ValueError(f"norms holds {len(norms)}, codes holds {len(codes)} rows")
    lanes = tables.transpose(0, 3, 1, 2).reshape(len(tables) * LANES, *tables.shape[1:3])
    lanes = lanes[:num_query]
    for i, (start, count) in enumerate(zip(starts, counts)):
        rows = slice(start, start + count)
        sums[i] = _sum(lanes.astype(np.float64), codes[rows], norms[rows])


def _sum(lanes, codes, norms):
    dots = lanes[:, np.arange(lanes.shape[1]), codes].sum(axis=2)
    with np.errstate(invalid="ignore"):  # centroids that are not finite
        cosines = np.where(np.isnan(norms), -np.inf, dots * norms)
    best = np.fmax.reduce(cosines, axis=1, initial=-np.inf)
    return best[best > -np.inf].sum()


def _scale(codebook):
    peak = np.abs(codebook[np.isfinite(codebook)]).max(initial=0)
    return 2.0 ** np.clip(1 - np.frexp(peak)[1], -126, 126)


def _check(codebook, M):
    if codebook.shape[1] != 256:
        raise ValueError(f"a subspace holds {codebook.shape[1]}, a code 256")
    if len(codebook) != M:
        raise ValueError(f"the subspaces are {len(codebook)}, a token holds {M}")
