"""Mapped pages of inputs leave the memory of the process, which schedulers limit."""

import re
from pathlib import Path

import numpy as np
import pytest

from cgcython import Profile, open_corpus
from cgcython.corpus.shard_job import encode_shard
from cgcython.corpus.shard_jobs import shard_job

STATUS = Path("/proc/self/status")
PROFILE = Profile.from_toml('E9 = { dimension = 1024, method = "binary" }')
SHARDS, ROWS = 20, 1024
MB = 1 << 20
LIMIT = 20 * MB  # a quarter of the file

pytestmark = pytest.mark.skipif(
    "RssFile" not in (STATUS.read_text() if STATUS.exists() else ""),
    reason="the system does not count mapped pages apart",
)


def mapped_bytes():
    """Return the bytes of files and shared memory that lie in memory for this process."""
    return 1024 * sum(map(int, re.findall(r"Rss(?:File|Shmem):\s+(\d+) kB", STATUS.read_text())))


@pytest.fixture
def path(tmp_path):
    """Return a file of 80 MB, all of it on the disk's pages."""
    rows = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (SHARDS * ROWS, 1024))
    rows[:] = np.arange(1, 1025, dtype=np.float32)
    rows.flush()
    del rows
    return tmp_path / "x.npy"


def test_shards_of_a_file_larger_than_the_limit_stay_below_it(path, tmp_path):
    grown = []
    with shard_job(tmp_path / "out", f"E9={path}", profile=PROFILE, shard_size=ROWS) as running:
        before = mapped_bytes()
        for number in running.unfinished:
            running.add(encode_shard(running.job, number))
            grown.append(mapped_bytes() - before)
    assert len(grown) == SHARDS
    assert max(grown) < LIMIT


def test_a_closed_corpus_gives_its_pages_back_although_arrays_are_held(path):
    corpus = open_corpus(f"E9={path}", PROFILE)
    values, before = corpus["E9"].embeddings.values, mapped_bytes()
    assert np.max(values) == 1024
    assert mapped_bytes() - before > 3 * LIMIT
    corpus.close()
    assert mapped_bytes() - before < LIMIT
    assert (corpus.num_memories, list(corpus)) == (0, [])
    assert values[-1, 5] == 6
