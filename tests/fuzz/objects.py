"""Inputs of a corpus at URLs: the bytes of `corpora` and of tables, read by ranges, row by row."""

from functools import partial
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
from fuzz import corpora
from fuzz.mutations import change_bytes
from fuzz.world import memories, rng

from cgcython import Fingerprint, QuantizationError, open_corpus
from cgcython.corpus.remote.objects import RemoteObject

SUFFIXES = (*corpora.SUFFIXES, ".parquet")
SHARD, LAST = 40, 100  # memories of a shard, and the last that is read


class HeldObject(RemoteObject):
    """An object whose bytes are in this process, and no file system beside it."""

    def __init__(self, content, url):
        self.url, self._content, self.size, self.version = url, content, len(content), ""

    def _about(self):
        return {"size": self.size}

    def _fetched(self, ranges):
        return [self._content[start:stop] for start, stop in ranges]

    def unchanged(self):
        return patch.object(self, "version", "")


def seeds():
    columns = {
        "E2": rng().standard_normal((90, 12)).tolist(),
        "E12": [None, *([[[1.0] * 8] * 2] * 89)],
        "id": [f"doc {row}" for row in range(90)],
    }
    tables = [
        corpora._saved(partial(pq.write_table, pa.table(columns), row_group_size=groups))
        for groups in (30, 90)
    ]
    return [*corpora.seeds(), *(b"\3" + one for one in tables)]


def mutate(data, rng):
    if data[0] % len(SUFFIXES) == len(SUFFIXES) - 1:
        return data[:1] + change_bytes(data[1:], rng)
    return corpora.mutate(data, rng)


def fuzz_one(data):
    suffix = SUFFIXES[(data[0] if data else 0) % len(SUFFIXES)]
    place = f"memory://x{suffix}"
    with patch("cgcython.corpus.array_files.RemoteObject", partial(HeldObject, data[1:])):
        try:
            spec = f"E2={place}" if suffix == ".npy" else place
            with open_corpus(spec, memories().profile, checked=True) as corpus:
                read(corpus)
        except QuantizationError:
            pass


def read(corpus):
    """Read the first shards of a corpus."""
    last = min(LAST, corpus.num_memories)
    for start in range(0, last, SHARD):
        stop = min(start + SHARD, last)
        assert len(corpus.ids[start:stop]) == stop - start
        for column in corpus.values():
            column.piece(start, stop).checksum(0, stop - start)
        for one in corpus.fingerprints(start, stop):
            Fingerprint(one).encode(memories().router)
