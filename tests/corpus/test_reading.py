"""What was written is read back as arrays that make a corpus again."""

import numpy as np
import pytest

from cgcython import ModelId, ShardWriter, StoreWriter, open_corpus
from cgcython.corpus.reading import ShardReader, StoreReader, decoded_arrays, open_reader
from cgcython.errors import UsageError


@pytest.fixture(params=[StoreWriter, ShardWriter])
def written(request, corpus, memories, tmp_path):
    """Return the folder that a corpus was written into."""
    with request.param(tmp_path / "out", memories.codebooks) as writer:
        writer.write_all(corpus)
    return tmp_path / "out"


def test_arrays_make_a_corpus_of_the_same_memories(written, corpus, arrays, memories):
    told = []
    with open_reader(written) as reader:
        assert len(reader) == 20
        found = decoded_arrays(reader, num_threads=2, progress=told.append)
    again = open_corpus(found, memories.profile)
    assert sum(told) == 20
    assert set(again.ids[:]) == set(corpus.ids[:])
    assert list(again) == list(corpus)
    order = np.argsort([corpus.ids[:].index(one) for one in again.ids[:]])
    weights = [again["E6"].embeddings[row].weights.tolist() for row in order]
    assert weights == [
        corpus["E6"].embeddings[row].weights.astype("f2").tolist() for row in range(20)
    ]


def test_some_embedders_are_read_alone(written):
    with open_reader(written) as reader:
        found = decoded_arrays(reader, [ModelId.HDC])
        assert set(found) == {"E9", "ids"}
        with pytest.raises(UsageError, match="no memory has E2"):
            decoded_arrays(reader, [ModelId.TEMPORAL_RECENT])


def test_a_folder_is_known_by_what_is_in_it(written, tmp_path):
    with open_reader(written) as reader:
        assert isinstance(reader, (StoreReader, ShardReader))
    (tmp_path / "empty").mkdir()
    with (
        pytest.raises(UsageError, match="neither a store nor a folder of shards"),
        open_reader(tmp_path / "empty"),
    ):
        pass
