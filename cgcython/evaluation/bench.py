"""Times this machine: encoding, decoding, MaxSim and a search, beside budgets and targets.

Inputs are seeded and of the sizes of the default profile. Tasks take turns, so that a machine
that gets slower meanwhile slows all of them alike; a figure is the median of its turns.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np

from cgcython.base import ModelId, Profile, QuantizationMethod
from cgcython.checks import require_whole
from cgcython.codecs.base import InputKind, codec_class
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.fingerprint import Fingerprint
from cgcython.records import SparseVector
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.similarity import max_sim
from cgcython.types import Float32Array, Progress

TURN = 2e-3  # seconds of a task's turn, which hide the clock
ROUNDS, MEMORIES = 15, 10_000
BATCH, TOKENS, WIDTH = 128, 32, 256
DENSITY = 0.05  # of sparse embeddings


class Task(NamedTuple):
    """A call that deals with `items`, and what one item may take and should take, in us."""

    name: str
    call: Callable[[], object]
    items: int = 1
    budget_us: float | None = None
    target_us: float | None = None


class Timing(NamedTuple):
    """What one item of a task takes: the median of its turns and the fastest one, in us.

    The budget is the specification's, on any machine; the target is for a core with AVX-512.
    """

    name: str
    median_us: float
    fastest_us: float
    budget_us: float | None
    target_us: float | None

    @property
    def is_late(self) -> bool:
        """Whether it takes longer than its budget."""
        return self.budget_us is not None and self.median_us > self.budget_us


def measure(
    tasks: Sequence[Task], rounds: int = ROUNDS, progress: Progress | None = None
) -> list[Timing]:
    """Return the Timing of each task; they take turns, `rounds` each.

    `progress` is called with 1 after each round.

    >>> measure([Task("nothing", lambda: None, budget_us=1000)], rounds=3)[0].is_late
    False
    """
    require_whole(rounds, "rounds", least=1)
    loops = [_loops(task.call) for task in tasks]
    times: list[list[float]] = [[] for _ in tasks]
    for _ in range(rounds):
        for found, task, count in zip(times, tasks, loops):
            found.append(1e6 * _seconds(task.call, count) / task.items)
        if progress is not None:
            progress(1)
    return [
        Timing(task.name, median(found), min(found), task.budget_us, task.target_us)
        for task, found in zip(tasks, times)
    ]


def _loops(call: Callable[[], object]) -> int:
    call()
    return max(1, round(TURN / max(_seconds(call, 1), 1e-9)))


def _seconds(call: Callable[[], object], loops: int) -> float:
    start = perf_counter()
    for _ in range(loops):
        call()
    return (perf_counter() - start) / loops


@contextmanager
def usual_tasks(memories: int = MEMORIES, seed: int = 0) -> Iterator[list[Task]]:
    """Yield the tasks, with a search of a store of some memories that exists meanwhile."""
    rng = np.random.default_rng(seed)
    values = {one: _value(one, rng) for one in ModelId}
    plain, rotated = _router(rng, is_rotated=False), _router(rng, is_rotated=True)
    tasks = [
        *_encoding(values, plain, rotated),
        *_decoding(values, plain, rotated),
        *_whole(values, plain, rotated),
        _max_sim(rng),
    ]
    with tempfile.TemporaryDirectory() as folder, _store(Path(folder), memories, rng) as store:
        yield [*tasks, *_searches(store, memories, rng)]


def _encoding(
    values: dict[ModelId, Any], plain: QuantizationRouter, rotated: QuantizationRouter
) -> Iterator[Task]:
    def quantize(router: QuantizationRouter, one: ModelId) -> Callable[[], object]:
        return partial(router.quantize, one, values[one])

    e2, e9, e1 = ModelId.TEMPORAL_RECENT, ModelId.HDC, ModelId.SEMANTIC
    yield Task("float8 encode, 512 values", quantize(plain, e2), 1, 50, 1)
    yield Task("bits encode, 1024 values", quantize(plain, e9), 1, 20, 1)
    yield Task("PQ-8 encode, 1024 values", quantize(plain, e1), 1, 100, 9)
    yield Task("PQ-8 encode, rotated", quantize(rotated, e1), 1, 100, 25)
    rows = np.repeat(values[e1][None], BATCH, 0)
    for name, router, target in (("", plain, 2.4), (", rotated", rotated, 6)):
        call = partial(router.quantize_batch, e1, rows)
        yield Task(f"PQ-8 encode in batches{name}", call, BATCH, 100, target)


def _decoding(
    values: dict[ModelId, Any], plain: QuantizationRouter, rotated: QuantizationRouter
) -> Iterator[Task]:
    def dequantize(router: QuantizationRouter, one: ModelId) -> Callable[[], object]:
        quantized = router.quantize(one, values[one])
        is_dense = isinstance(values[one], np.ndarray)
        out = np.empty(values[one].shape, np.float32) if is_dense else None
        return partial(router.dequantize, quantized, out=out)

    yield Task("float8 decode, 512 values", dequantize(plain, ModelId.TEMPORAL_RECENT), 1, 200, 0.5)
    yield Task("bits decode, 1024 values", dequantize(plain, ModelId.HDC), 1, 200, 0.5)
    yield Task("sparse decode, 5 % of 30522", dequantize(plain, ModelId.SPARSE), 1, 200, 2)
    yield Task("PQ-8 decode, rotated", dequantize(rotated, ModelId.SEMANTIC), 1, 200, 10)


def _whole(
    values: dict[ModelId, Any], plain: QuantizationRouter, rotated: QuantizationRouter
) -> Iterator[Task]:
    memory = Fingerprint(values)
    for name, router, target in (("plain", plain, 60), ("rotated", rotated, 120)):
        call = partial(router.quantize_fingerprint, memory)
        yield Task(f"fingerprint encode, {name} PQ", call, 1, 2000, target)
    several = [Fingerprint(values) for _ in range(BATCH)]
    call_many = partial(rotated.quantize_fingerprints, several)
    yield Task("fingerprint encode in batches", call_many, BATCH, 2000, 40)


def _max_sim(rng: np.random.Generator) -> Task:
    query, document = _unit(rng, TOKENS, 128), _unit(rng, 4 * TOKENS, 128)
    return Task("MaxSim, 32 x 128 tokens", partial(max_sim, query, document))


def _searches(store: FingerprintStore, memories: int, rng: np.random.Generator) -> Iterator[Task]:
    for one, dimension in ((ModelId.GRAPH, 384), (ModelId.HDC, 1024)):
        query = {one: _unit(rng, 1, dimension)[0]}
        call = partial(store.search, query, 10)
        yield Task(f"search {memories} {store.profile[one].method}", call)


@contextmanager
def _store(folder: Path, memories: int, rng: np.random.Generator) -> Iterator[FingerprintStore]:
    """Yield a store of memories with float8 and bits."""
    with FingerprintStore.open(folder / "store") as store:
        e8, e9 = _unit(rng, memories, 384), _unit(rng, memories, 1024)
        store.store_many(
            (UUID(int=number), {ModelId.GRAPH: one, ModelId.HDC: other})
            for number, (one, other) in enumerate(zip(e8, e9))
        )
        yield store


def _value(one: ModelId, rng: np.random.Generator) -> Any:
    row = Profile.named()[one]
    kind = codec_class(row.method).inputs
    if kind is InputKind.SPARSE:
        count = int(DENSITY * row.dimension)
        indices = np.sort(rng.choice(row.dimension, count, replace=False))
        return SparseVector(indices, rng.gamma(1.0, 1.0, count), row.dimension)
    return _unit(rng, TOKENS if kind is InputKind.TOKENS else 1, row.dimension).squeeze()


def _router(rng: np.random.Generator, is_rotated: bool) -> QuantizationRouter:
    """Return a router with codebooks of random centroids, for how long they take is the same.

    Neither does it depend on the rotation, of which axes in another order are the quickest made.
    """
    books = {}
    for one, row in Profile.named().items():
        if row.method is QuantizationMethod.PQ8:
            width = WIDTH if is_rotated else row.dimension
            centroids = rng.standard_normal((8, 256, width // 8), dtype=np.float32)
            turn = np.eye(row.dimension)[:, rng.permutation(row.dimension)[:width]]
            turned = (turn, np.zeros(row.dimension)) if is_rotated else ()
            books[one] = PQ8Codebook(centroids, *turned)
    return QuantizationRouter(books)


def _unit(rng: np.random.Generator, rows: int, dimension: int) -> Float32Array:
    found = rng.standard_normal((rows, dimension), dtype=np.float32)
    scaled: Float32Array = found / np.linalg.norm(found, axis=1, keepdims=True)
    return scaled
