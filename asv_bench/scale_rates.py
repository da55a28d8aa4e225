"""The rates of this machine, in seconds of processor time, from some thousand memories.

What takes a fixed time and one for each memory is measured at two sizes: a Line. Rounds of the
sizes alternate, and medians count.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import rmtree
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import numpy as np
from scale_inputs import write_inputs

from cgcython import (
    PQ8Codebook,
    Profile,
    QuantizationMethod,
    ShardWriter,
    kernels,
    open_corpus,
)
from cgcython.store import shards

ROWS = 1 << 14  # memories that are encoded: as one shard, and as four
ROUNDS = 5
READ = 1 << 28  # bytes that are read to measure memory


class Line(NamedTuple):
    """Seconds that something takes: `fixed`, and `each` for each of many."""

    fixed: float
    each: float

    @classmethod
    def through(cls, small, large):
        """Return the line through two measured points (count, seconds)."""
        each = max(0.0, (large[1] - small[1]) / (large[0] - small[0]))
        return cls(max(0.0, small[1] - each * small[0]), each)

    def at(self, count):
        """Return the seconds of so many."""
        return self.fixed + self.each * count


class EmbedderRates(NamedTuple):
    """What a memory's embedding takes; `train` is by samples, None where nothing is trained."""

    input_bytes: float
    stored_bytes: float
    encode: Line
    load: Line
    train: Line | None
    scan: Line
    batch: Line  # of a query among many


class Machine(NamedTuple):
    """What this machine has: cores, bytes of memory, and bytes a second that it reads there."""

    cores: int
    memory: int
    read_one: float  # by one thread
    read_all: float  # by one on each core

    def better(self, other):
        """Return this machine with the higher of two measured speeds."""
        return self._replace(
            read_one=max(self.read_one, other.read_one), read_all=max(self.read_all, other.read_all)
        )


class Rates(NamedTuple):
    """The rates of a machine, those of each embedder, and of queries that rank by several."""

    machine: Machine
    embedders: Mapping[str, EmbedderRates]
    id_bytes: float  # of a memory, beside its embeddings
    encode: Line  # all embedders, into one shard
    ranking: tuple[str, ...]
    load: Line  # until all of `ranking` can be scanned
    fused: Line  # a query that ranks by all of `ranking`
    fused_batch: Line
    merging: Line  # of a query's hits, by groups of shards
    reranked: float  # what a query takes longer that E12 reorders; 0 without E12
    near: float | None = None  # seconds a row of an approximate query; None if not measured
    guides: float | None = None  # seconds a row to make what that needs


def measure_machine():
    """Return the Machine."""
    values, cores = np.ones(READ // 4, np.float32), len(os.sched_getaffinity(0))
    parts = np.array_split(values, cores)

    def seconds(pool, arrays):
        start = perf_counter()
        list(pool.map(kernels.limits.read, arrays))
        return perf_counter() - start

    with ThreadPoolExecutor(cores) as pool:
        rounds = [(seconds(pool, [values]), seconds(pool, parts)) for _ in range(25)]
    one, both = (READ / min(times) for times in zip(*rounds))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(cores, memory, one, both)


def processor_seconds(call):
    """Return the seconds of processor time that a call takes, of all its threads."""
    start = process_time()
    call()
    return process_time() - start


def medians(*calls, rounds=ROUNDS):
    """Return the median of the seconds of each call; they take turns."""
    times = [[processor_seconds(call) for call in calls] for _ in range(rounds)]
    return [median(found) for found in zip(*times)]


class Samples:
    """Inputs of `rows` memories in a folder, and what becomes of them."""

    def __init__(self, folder, embedders, rows=ROWS, profile=None, data=None):
        self.folder, self.profile = Path(folder), Profile.named(profile)
        self.embedders = [self.profile.embedder(name) for name in embedders]
        self.rows, self.data, self.books = rows, data, {}
        paths = self.write(rows, self.embedders, self.folder)
        self.inputs = dict(zip(self.embedders, paths))

    def write(self, memories, embedders, folder):
        """Write inputs of so many memories, and return them."""
        folder.mkdir(exist_ok=True)
        return write_inputs(folder, self.profile, embedders, memories, self.data)

    def train(self, one):
        """Train an embedder's codebook; return the Line, None for one that needs none."""
        if self.profile[one].method is not QuantizationMethod.PQ8:
            return None
        (given,) = self.write(2 * self.rows, [one], self.folder / "train")
        matrix, points = matrix_of(given), []
        for samples in (2 * self.rows, self.rows):
            start = process_time()
            self.books[one] = train(matrix[:samples])
            points.append((samples, process_time() - start))
        rmtree(self.folder / "train")
        return Line.through(*reversed(points))

    def encode(self, embedders, shard_size):
        """Encode some embedders into an empty folder, and return it."""
        out = self.folder / "encoded"
        rmtree(out, ignore_errors=True)
        encode([self.inputs[one] for one in embedders], out, self.books, shard_size)
        return out

    def encoding(self, embedders):
        """Return the Line of encoding some embedders by shards of a quarter of the memories."""
        whole, parts = (partial(self.encode, embedders, self.rows // n) for n in (1, 4))
        in_one, in_four = medians(whole, parts)
        fixed = max(0.0, in_four - in_one) / 3
        return Line(fixed, max(in_one - fixed, 0) / self.rows)

    def stored_bytes(self, one):
        """Return the bytes of a memory's embedding and of its id in a shard."""
        path = shards.shard_path(self.encode([one], self.rows), 0)
        ids = shards.read_shard(path).ids
        beside = (ids.data.nbytes + ids.offsets.nbytes) / self.rows
        return path.stat().st_size / self.rows - beside, beside

    def queries(self, names, count):
        """Return rows of `count` queries, `{embedder: rows}`: the first memories."""
        corpus = open_corpus([self.inputs[self.profile.embedder(name)] for name in names])
        return {one: [corpus[one].embeddings[row] for row in range(count)] for one in names}


def matrix_of(given):
    """Return the matrix of a dense input, mapped."""
    return np.load(given.partition("=")[2], mmap_mode="r")


def file_bytes(given):
    """Return the size of the file of an input."""
    return Path(given.partition("=")[2].partition(":")[0]).stat().st_size


def train(samples):
    """Return a codebook of 8 bytes."""
    return PQ8Codebook.train(samples, num_threads=1)


def encode(inputs, out, books, shard_size):
    """Encode inputs into a folder of shards, in this process and on one thread."""
    with ShardWriter(out, books, shard_size=shard_size) as writer:
        writer.write_all(open_corpus(inputs))
