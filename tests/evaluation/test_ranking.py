"""A corpus in blocks: the same ranking as in one piece, in the memory of a block."""

import tracemalloc

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.evaluation import ranking
from cgcython.evaluation.comparison import compare
from cgcython.evaluation.contenders import Contender
from cgcython.evaluation.ranking import Tops, rank
from cgcython.evaluation.representations import Codes, Exact
from cgcython.inputs.columns import DenseColumn, SparseColumn, TokenColumn

RNG = np.random.default_rng(4)
E8 = ModelId.GRAPH
ROWS = RNG.standard_normal((500, 32)).astype(np.float32)
OFFSETS = np.arange(0, 501, 5)
COLUMNS = {
    "float8": (DenseColumn(ROWS), Float8Codec(32)),
    "signs": (DenseColumn(ROWS), BinaryCodec(32)),
    "sparse": (
        SparseColumn(OFFSETS, np.tile(np.arange(5), 100), np.abs(ROWS[:, 0]), 100),
        SparseCodec(100, "compact_f16"),
    ),
    "tokens": (TokenColumn(ROWS, OFFSETS), TokenPruningCodec(32)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_blocks_rank_as_the_whole_does(name, monkeypatch):
    column, codec = COLUMNS[name]
    queries = [column[row] for row in (0, 7, 31)]
    sides = Exact(codec.inputs), Codes(codec)
    whole = [rank(side, column, queries) for side in sides]
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 3000)
    assert len(list(ranking.ranges(column))) > 1
    for side, expected in zip(sides, whole):
        found = rank(side, column, queries, num_threads=2)
        for query in range(3):
            np.testing.assert_array_equal(found.tops[query], expected.tops[query])
        np.testing.assert_array_equal(found.losses, expected.losses)
        assert found[2:] == expected[2:]


def test_ties_across_blocks_keep_the_lower_document():
    tops = Tops(1, k=3)
    for first in (0, 4, 8):
        tops.see(0, first, np.array([0, 1, 1, 0], np.float32))
    assert tops[0][0].tolist() == [1, 2, 5]


def test_progress_counts_every_row_twice():
    column, codec = COLUMNS["float8"]
    heard = []
    compare([Contender(E8, column, np.arange(500), Codes(codec))], [], advance=heard.append)
    assert sum(heard) == 2 * 500


def test_memory_stays_that_of_a_block(tmp_path, monkeypatch):
    """The corpus takes 13 MB as float32, its records as objects as much again."""
    np.save(tmp_path / "corpus.npy", RNG.standard_normal((50_000, 64), dtype=np.float32))
    column = DenseColumn(np.load(tmp_path / "corpus.npy", mmap_mode="r"))
    monkeypatch.setattr(ranking, "BLOCK_BYTES", 1 << 19)
    one = Contender(E8, column, np.arange(len(column)), Codes(Float8Codec(64)))
    tracemalloc.start()
    (row,) = compare([one], [{E8: column[3]}], [{3: 1}])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row.recall10.quantized == 1
    assert peak < 6 << 20
