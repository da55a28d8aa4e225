"""Whole records: encoding them in batches, and the memory of columns."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from realistic import Realistic

from cgcython import FingerprintStore, ModelId, QuantizationRouter

from .timing import Line, Way, wall

BYTES_OF_PQ = 64
TWO_THREADS = 1.0  # times one
COLUMNS = ("E6", "E8", "E12")
CHILD = Path(__file__).with_name("column_memory.py")


def encoding(data: Path, batches: int = 1) -> Line:
    """Whole fingerprints of thirteen embedders, encoded in batches on one and two threads."""
    made = Realistic(data)
    router = QuantizationRouter(made.codebooks(BYTES_OF_PQ, progress=lambda text: None))
    some = [made.fingerprints(one) for one in range(batches)]

    def way(threads: int) -> Way:
        def find(turn: int) -> list[int]:
            router.quantize_fingerprints(some[turn % batches], num_threads=threads)
            return []

        return Way(f"cgcython, {threads} threads", find, per=len(some[0]), theirs=threads == 1)

    return Line("a fingerprint, in batches", [way(1), way(2)], clock=wall, least=TWO_THREADS)


def memory(data: Path, count: int) -> list[tuple[str, float, float]]:
    """Return (embedder, bytes of its arrays, bytes that loading took at most) of columns."""
    made, found = Realistic(data), []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store"
        with FingerprintStore.open(path) as store:
            for batch in range(-(-count // 1024)):
                columns = {name: made.dense(ModelId.parse(name), batch) for name in COLUMNS}
                store.add(made.ids(batch), columns)
        for name in COLUMNS:
            script = [sys.executable, str(CHILD), str(path), name]
            told = subprocess.check_output(script, text=True).split()
            found.append((name, float(told[0]), float(told[1])))
    return found
