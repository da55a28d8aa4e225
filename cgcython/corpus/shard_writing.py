"""Encodes the memories of a corpus into safetensors shards."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cgcython.base import ProfileName
from cgcython.checks import require_whole
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.corpus import Corpus, Stamp
from cgcython.corpus.running_job import RunningJob
from cgcython.corpus.shard_job import ShardDone, ShardJob, keep_shard, write_shard
from cgcython.corpus.shard_jobs import SHARD_SIZE as SHARD_SIZE
from cgcython.corpus.shard_jobs import codebooks_for, local_folder, new_job
from cgcython.corpus.writing import CodebookSource, CorpusWriter
from cgcython.errors import InvalidInput
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.types import Progress, StrPath


class ShardWriter(CorpusWriter):
    """Encodes a corpus into a folder of shards: a file of columns for every `shard_size` memories.

    The codebooks that the codes need and the profile lie beside them; once all shards are there, a
    manifest says what whole means. A shard appears whole or not at all; finished ones are skipped
    when the same corpus is written again. Nothing of the folder changes where it holds shards of
    other inputs, codebooks or another profile, which raises UsageError, and while another job
    writes to it, which raises StoreUnavailable. A shard keeps all its tokens, and all its sparse
    vectors, in one layout: the finest in which every memory takes at most `budget_bytes`.
    """

    def __init__(
        self,
        folder: StrPath,
        codebooks: CodebookSource | None = None,
        *,
        profile: ProfileName | None = None,
        shard_size: int = SHARD_SIZE,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        num_threads: int = 1,
    ) -> None:
        super().__init__(codebooks, profile, budget_bytes, num_threads)
        self.folder = local_folder(folder)
        self.chunk = require_whole(shard_size, "shard_size", least=1)
        self._running: RunningJob | None = None
        self._corpus: Corpus | None = None  # that of the job

    def close(self) -> None:
        """Let other jobs write to the folder; what was written stays."""
        if self._running is not None:
            self._running.close()

    def write_all(self, corpus: Corpus, progress: Progress | None = None) -> ByteCounts:
        """Write every memory of a corpus and return the counts; as in CorpusWriter."""
        try:
            return super().write_all(corpus, progress)
        finally:
            self.close()

    def write(self, corpus: Corpus, start: int, stop: int) -> None:
        """Write the shard of memories start to stop, unless it is there.

        start is a multiple of `shard_size`, stop the next one or the end of the corpus. The folder
        is this writer's from the first shard on, until the last one is there or `close`.
        """
        self._require_range(corpus, start, stop)
        number = start // self.chunk
        running = self._running_for(corpus, number)
        if running.has(number):
            self.skipped += stop - start
            return
        try:
            done = write_shard(running.job, number, corpus, self._router_for(corpus))
        except BaseException:
            running.close()
            raise
        running.add(done)
        self.counts.add_counts(done.counts)
        if running.is_whole:
            running.close()

    def _require_range(self, corpus: Corpus, start: int, stop: int) -> None:
        if start % self.chunk or stop != min(start + self.chunk, corpus.num_memories):
            expected = f"one of corpus.ranges({self.chunk})"
            raise InvalidInput(what="range", expected=expected, actual=f"{start} to {stop}")

    def _running_for(self, corpus: Corpus, number: int) -> RunningJob:
        """Return the job in which a shard may be written: the last one, or a new one."""
        running = self._running
        if running is not None and corpus is self._corpus and running.may_write(number):
            return running
        self.close()
        books = codebooks_for(corpus, self._router_for(corpus))
        limits = self.chunk, self.budget_bytes, self.num_threads
        job = new_job(self.folder, corpus, books, *limits)

        def keep(
            job: ShardJob, stamps: Sequence[Stamp], believed: bool
        ) -> Callable[[int], ShardDone]:
            return lambda number: keep_shard(job, number, corpus, stamps, believed)

        self._running, self._corpus = RunningJob(job, corpus, books, keep), corpus
        if self._running.is_whole:
            self._running.close()
        return self._running
