"""The inputs of a shard are read once, and those of one embedder are in memory at a time."""

import gc
import weakref

import pytest

from cgcython import QuantizationRouter
from cgcython.corpus.corpus import CorpusColumn
from cgcython.corpus.shard_encoding import RangeEncoder, input_checksums


@pytest.fixture
def pieces(monkeypatch):
    """Return, of each piece that is read, how many are held by then, and a reference to it."""
    found, read = [], CorpusColumn.piece

    def noted(self, start, stop):
        piece = read(self, start, stop)
        gc.collect()
        alive = [one() for _, one in found]
        found.append((sum(one is not None for one in alive), weakref.ref(piece)))
        return piece

    monkeypatch.setattr(CorpusColumn, "piece", noted)
    return found


def test_inputs_are_read_once_and_let_go(corpus, memories, pieces):
    router = QuantizationRouter(memories.codebooks, memories.profile)
    encoder = RangeEncoder(corpus, router, (3, 9))
    encoder.within_budget(None)
    assert len(pieces) == len(corpus)
    assert [alive for alive, _ in pieces] == [0, 0, 1, 1]  # E6 has layouts to choose from
    assert encoder.checksums == input_checksums(corpus, 3, 9)
