"""Measure what Ctrl-C waits for: the longest time between two of Python's looks at signals.

    python asv_bench/ctrl_c.py                  all calls, one or two minutes
    python asv_bench/ctrl_c.py train            those whose names hold a word
    python asv_bench/ctrl_c.py --records 200000 larger stores

Prints for each call its seconds, its longest wait by the clock, its longest in processor time of
all threads, which other work on the machine lengthens less, and in which function of this package
that one was.
"""

import argparse
import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from uuid import UUID

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import cgcython
from cgcython import FingerprintStore, PQ8Codebook
from cgcython.codecs.measures import neighbours_kept

PACKAGE = str(Path(cgcython.__file__).parent)
TICK = 0.002  # seconds between two signals
ON_STORES = ("graphs", "backup", "compact", "close", "open")
SAMPLES, HELD_OUT = 20_000, 1000


class Wait(NamedTuple):
    """The longest waits of a call, in seconds, and the function of the one of the processor."""

    clock: float = 0.0
    processor: float = 0.0
    place: str = ""


class Watch:
    """Looks at both clocks whenever Python handles a signal."""

    def __init__(self) -> None:
        self.longest = Wait()
        self._last = time.perf_counter(), time.process_time()

    def look(self, _: int, frame: FrameType | None) -> None:
        now = time.perf_counter(), time.process_time()
        clock, processor = now[0] - self._last[0], now[1] - self._last[1]
        most = self.longest
        place = most.place if processor < most.processor else place_of(frame)
        self.longest = Wait(max(clock, most.clock), max(processor, most.processor), place)
        self._last = now


def place_of(frame: FrameType | None) -> str:
    """Return the innermost function of this package that a frame is called from."""
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    if frame is None:
        return ""
    return f"{Path(frame.f_code.co_filename).relative_to(PACKAGE)}: {frame.f_code.co_name}"


def longest_wait(call: Callable[[], object]) -> Wait:
    """Return the longest wait of a call."""
    watch = Watch()
    before = signal.signal(signal.SIGALRM, watch.look)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    try:
        call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.look(signal.SIGALRM, None)
        signal.signal(signal.SIGALRM, before)
    return watch.longest


def pure_calls() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what needs no store: training with a rotation and what of it is in one piece."""
    rng = np.random.default_rng(0)
    for dim in (384, 1024, 2048):
        square = rng.standard_normal((dim, dim))
        yield f"eigh, {dim} dimensions", partial(np.linalg.eigh, square + square.T)
        yield f"svd, {dim} dimensions", partial(np.linalg.svd, square.astype(np.float32))
    for dim in (384, 1024):
        rows = rng.standard_normal((SAMPLES, dim), dtype=np.float32)
        rows *= np.geomspace(1, 0.01, dim, dtype=np.float32)
        train = partial(PQ8Codebook.train, rows, rotation="opq", width=min(dim, 512))
        yield f"train, {dim} dimensions", train
        some = rows[:HELD_OUT]
        yield f"neighbours, {dim} dimensions", partial(neighbours_kept, some, some)


def store_calls(records: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls on a store of some records: they build upon each other, in this order."""
    rows = np.random.default_rng(0).standard_normal((records, 384), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store")
        with FingerprintStore.open(path) as store:
            store.store_many((UUID(int=i), {"E8": row}) for i, row in enumerate(rows))
            yield "graphs", partial(store.save_columns, ["E8"], graphs=True)
            yield "backup", partial(store.backup, Path(folder, "backup"))
            yield "compact", store.compact
            yield "close", store.close
        yield "open", lambda: FingerprintStore.open(path).close()


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("word", nargs="?", default="", help="only calls whose names hold it")
    parser.add_argument("--records", type=int, default=20_000)
    args = parser.parse_args()
    print(f"{'call':<26}{'seconds':>8}{'wait':>8}{'processor':>11}  in")
    on_stores = any(args.word in name for name in ON_STORES)
    for calls in (pure_calls(), store_calls(args.records) if on_stores else ()):
        for name, call in calls:
            if args.word not in name:
                continue
            began = time.perf_counter()
            with quiet():
                wait = longest_wait(call)
            seconds = time.perf_counter() - began
            row = f"{name:<26}{seconds:>8.2f}{wait.clock:>8.3f}{wait.processor:>11.3f}"
            print(f"{row}  {wait.place}", flush=True)


if __name__ == "__main__":
    main()
