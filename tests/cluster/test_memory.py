"""A worker holds the rows of its shards, not the files that it reads: Dask never pauses it."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cluster import worker_tasks as tasks

from cgcython import Profile
from cgcython.cluster.opening import open_runner
from cgcython.corpus.shard_job import encode_shard
from cgcython.corpus.shard_jobs import shard_job

pytestmark = pytest.mark.cluster
LIMIT = 300 << 20  # bytes of a worker, of which Python and its packages take a half
ROWS, DIM, SHARD = 800_000, 384, 16_384


@pytest.fixture
def rows():
    """Return the path of 1.2 GB of zeros, which take no room on a disk (in /dev/shm they would)."""
    with tempfile.TemporaryDirectory(prefix="cgcython-memory-") as folder:
        path = Path(folder) / "rows.npy"
        np.lib.format.open_memmap(path, "w+", np.float32, (ROWS, DIM)).flush()
        yield path


def test_inputs_of_four_times_a_workers_memory_pause_no_worker(rows, tmp_path):
    assert rows.stat().st_size > 3.9 * LIMIT
    profile = Profile.from_toml('E1 = { dimension = 384, method = "binary" }')
    with (
        open_runner("processes", num_workers=1, memory_limit=LIMIT) as runner,
        shard_job(tmp_path / "out", f"E1={rows}", profile=profile, shard_size=SHARD) as job,
    ):
        for _, done in runner.run(partial(encode_shard, job.job), job.unfinished):
            job.add(done)
        assert "Pausing worker" not in runner.logs()
        dict(runner.run(tasks.hold, [LIMIT * 0.87]))  # a worker that takes so much is paused
        assert "Pausing worker" in runner.logs()
    assert (tmp_path / "out" / "manifest.json").exists()
