"""Encodes, loads and searches as many memories as were asked for, beside what was predicted."""

from functools import partial
from shutil import rmtree
from statistics import median
from typing import NamedTuple

from scale_model import (
    SHARD_SIZE,
    encode_seconds,
    input_bytes,
    query_seconds,
    stored_bytes,
    train_seconds,
)
from scale_rates import encode, file_bytes, matrix_of, processor_seconds, train
from scale_searches import BATCH, QUERIES

from cgcython import open_corpus
from cgcython.search.shards import ShardSearcher

MOST = 0.25  # that a prediction may differ, of what came


class Line(NamedTuple):
    """A figure that was predicted and what came."""

    name: str
    predicted: float
    came: float

    @property
    def is_close(self):
        """Whether they differ by no more than MOST of what came."""
        return abs(self.predicted - self.came) <= MOST * self.came


def check(rates, samples, memories):
    """Print a line per figure, and return the exit status: 1 where one is far off."""
    for path in samples.folder.iterdir():
        rmtree(path) if path.is_dir() else path.unlink()  # room for larger ones
    lines = list(compare(rates, samples, memories))
    print(f"\n{memories:,} memories            predicted          came   off by")
    for one in lines:
        off = one.predicted / one.came - 1
        told = "" if one.is_close else f"  more than {MOST:.0%}"
        print(f"{one.name:24}{one.predicted:14.4g}{one.came:14.4g}{off:+9.1%}{told}", flush=True)
    return int(not all(one.is_close for one in lines))


def compare(rates, samples, memories):
    """Yield the Line of each figure."""
    inputs = samples.write(memories, samples.embedders, samples.folder)
    yield Line("input bytes", input_bytes(rates, memories), sum(map(file_bytes, inputs)))
    books, out = samples.books, samples.folder / "shards"
    if books:
        yield Line("train, core-s", train_seconds(rates, memories), train_again(samples, inputs))
    seconds = processor_seconds(partial(encode, inputs, out, books, SHARD_SIZE))
    yield Line("encode, core-s", encode_seconds(rates, memories), seconds)
    stored = sum(path.stat().st_size for path in out.glob("shard-*"))
    yield Line("stored bytes", stored_bytes(rates, memories), stored)
    yield from compare_searches(rates, inputs, out, memories)


def train_again(samples, inputs):
    """Return the seconds to train all codebooks on files of inputs."""
    paths = dict(zip(samples.embedders, inputs))
    rows = [matrix_of(paths[one]) for one in samples.books]
    return sum(processor_seconds(partial(train, one)) for one in rows)


def compare_searches(rates, inputs, out, memories):
    """Yield the Lines of loading and of queries."""
    searcher, corpus = ShardSearcher(out), open_corpus(inputs)
    columns = {one: corpus[one].embeddings for one in rates.ranking}

    def search(row):
        query = {one: column[row] for one, column in columns.items()}
        searcher.search(query, 10)

    first = processor_seconds(partial(search, 0))
    alone = median(processor_seconds(partial(search, row)) for row in range(1, QUERIES))
    yield Line("load, core-s", rates.load.at(memories), first - alone)
    yield Line("query, ms", 1e3 * query_seconds(rates, memories), 1e3 * alone)
    rows = {one: [column[row] for row in range(BATCH)] for one, column in columns.items()}
    seconds = processor_seconds(partial(searcher.search_many, rows, 10)) / BATCH
    yield Line("query in a batch, ms", 1e3 * rates.fused_batch.at(memories), 1e3 * seconds)
