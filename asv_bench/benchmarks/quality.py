"""What codes lose of real embeddings: the sample that comes with the package, one seed.

The limits of the specification are for the whole data, in cgcython/evaluation/limits.py; those of
codebooks and bits here lie just above what the sample (240 documents, 1,500 other texts) loses.
"""

import warnings
from functools import cache
from pathlib import Path

import numpy as np

from cgcython import PQ8Codebook
from cgcython.codecs.measures import cosine_losses
from cgcython.codecs.training import CodebookWarning
from cgcython.evaluation import limits
from cgcython.evaluation.choices import dense_methods, sparse_methods
from cgcython.evaluation.methods import compare_methods
from cgcython.inputs.columns import DenseColumn, SparseColumn

from .gates import at_least, at_most

SAMPLE = Path(__file__).parents[2] / "examples" / "cranfield"
FLOAT8 = limits.method_limit(limits.FLOAT8, None)


@cache
def arrays(name):
    """Return the arrays of one file of the sample."""
    with np.load(SAMPLE / f"{name}.npz") as found:
        return dict(found)


@cache
def dense_rows():
    """Return `{method: MethodRow}` of the methods that need no training."""
    column = DenseColumn(arrays("memories")["E1"])
    rows = compare_methods("E1", column, dense_methods(384), list(arrays("queries")["E1"]))
    return {row.method: row for row in rows}


@cache
def sparse_rows():
    """Return `{layout: MethodRow}` of BM25 weights."""
    memories = arrays("memories")
    column = SparseColumn(*(memories[f"E6.{one}"] for one in SparseColumn.parts), 30522)
    rows = compare_methods("E6", column, sparse_methods(30522), [column[0]])
    return {row.method: row for row in rows}


def lost_by_codebook(size):
    """Return the loss in % of documents coded by a codebook of other texts."""
    documents = arrays("memories")["E1"].astype(np.float32)
    with warnings.catch_warnings(action="ignore", category=CodebookWarning):
        book = PQ8Codebook.train(arrays("train")["E1"], size, rotation="pca", width=256)
    return 100 * cosine_losses(documents, book.decode(book.encode(documents))).mean()


@at_most(100 * FLOAT8.loss, "%")
def track_float8_loss():
    return 100 * dense_rows()[limits.FLOAT8].loss.mean


@at_most(100 * FLOAT8.max_loss, "%")
def track_float8_largest_loss():
    return 100 * dense_rows()[limits.FLOAT8].loss.max


@at_least(0.78, "of top 10")
def track_bits_top10():
    return dense_rows()[limits.PROJECTED].overlap10


@at_least(0.81, "of top 10")
def track_bits_top10_of_float_queries():
    return dense_rows()[limits.PROJECTED_ASKED].overlap10


@at_most(5e-6, "%")
def track_compact_sparse_loss():
    return 100 * sparse_rows()["compact_f16"].loss.mean


@at_most(45, "%")
def track_codebook_loss_of_8_bytes():
    return lost_by_codebook(8)


@at_most(17.6, "%")
def track_codebook_loss_of_32_bytes():
    return lost_by_codebook(32)


@at_most(7.3, "%")
def track_codebook_loss_of_64_bytes():
    return lost_by_codebook(64)
