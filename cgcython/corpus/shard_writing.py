"""Encodes the memories of a corpus into safetensors shards."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cgcython.base import EmbedderId, Profile, ProfileName
from cgcython.checks import require_whole
from cgcython.checksums import crc32
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.codecs.codebook_file import FOLDER, codebook_path
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.memory_ids import FIRST_ROWS, MemoryIds
from cgcython.corpus.writing import CodebookSource, CorpusWriter
from cgcython.embedders.ladder import steps_for
from cgcython.embedders.losses import LossWatch, loss_line
from cgcython.errors import (
    BudgetExceeded,
    CodebookMissing,
    InvalidInput,
    QuantizationError,
    StorageCorruption,
    UsageError,
)
from cgcython.files import as_path, write_whole
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES
from cgcython.store import shards
from cgcython.store.ids import StoredId, id_of
from cgcython.store.key_columns import KeyColumn
from cgcython.types import Int64Array, StrPath

_LOGGER = logging.getLogger(__name__)
SHARD_SIZE = 65536


class ShardWriter(CorpusWriter):
    """Encodes a corpus into a folder of shards: a file of columns for every `shard_size` memories.

    The codebooks that the codes need and the profile lie beside them. A shard appears whole or not
    at all; finished ones are skipped when the same corpus is written again. Nothing of the folder
    changes where it holds shards of other inputs, codebooks or another profile, which raises
    UsageError. A shard keeps all its tokens, and all its sparse vectors, in one layout: the finest
    in which every memory takes at most `budget_bytes`.
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
        self.folder = as_path(folder, "folder")
        self.chunk = require_whole(shard_size, "shard_size", least=1)
        self._watch = LossWatch()
        self._corpus: Corpus | None = None
        self._ids = MemoryIds(0)  # those of the corpus
        self._facts: dict[str, Any] = {}  # what makes shards of this corpus
        self._missing: dict[Path, bytes] = {}  # files beside the shards, still to be written

    def close(self) -> None:
        """Do nothing: a shard is on the disk when it has been written."""

    def write(self, corpus: Corpus, start: int, stop: int) -> None:
        """Write the shard of memories start to stop, unless it is there.

        start is a multiple of `shard_size`, stop the next one or the end of the corpus.
        """
        self._require_range(corpus, start, stop)
        if corpus is not self._corpus:
            self._begin(corpus)
        path = shards.shard_path(self.folder, start // self.chunk)
        ids = KeyColumn.of(self._ids[start:stop])
        facts = {**self._facts, "first": start, "ids_crc32": crc32(ids.data.data)}
        if path.exists():
            self._require_same(path, facts)
            self.skipped += stop - start
            return
        router = self._router_for(corpus)
        parts, sizes = self._within_budget(corpus, start, stop)
        with self._decodable():
            shards.write_shard(path, shards.Shard(ids, parts, facts))
        self.counts.add_batches({one: part.batch for one, part in parts.items()}, sizes)
        told = loss_line(f"{stop - start} records", self._watch.since(router))
        _LOGGER.info("%s: %s", path, told)

    def _require_range(self, corpus: Corpus, start: int, stop: int) -> None:
        if start % self.chunk or stop != min(start + self.chunk, corpus.num_memories):
            expected = f"one of corpus.ranges({self.chunk})"
            raise InvalidInput(what="range", expected=expected, actual=f"{start} to {stop}")

    def _begin(self, corpus: Corpus) -> None:
        """Note what shards of a corpus are made from; raise UsageError if the folder has others."""
        router = self._router_for(corpus)
        books = {
            one: router.codebooks[one]
            for one in corpus
            if codec_class(corpus.profile[one].method).needs_codebook
        }
        self._facts = {
            "memories": corpus.num_memories,
            "shard_size": self.chunk,
            "inputs": corpus.stamps(),
            "codebooks": {one.short: book.codebook_id for one, book in books.items()},
        }
        self._ids = corpus.ids.as_known(self._known_ids())
        for path in shards.shard_paths(self.folder):
            self._require_same(path, self._facts)
        self._missing = self._missing_files(corpus.profile, books)
        self._corpus = corpus

    def _known_ids(self) -> set[StoredId]:
        """Return ids of the first shard of the folder, none where it has none or a damaged one."""
        path = shards.shard_path(self.folder, 0)
        try:
            keys = shards.read_shard(path).ids.keys() if path.exists() else []
        except StorageCorruption:
            return set()
        return set(map(id_of, keys[:FIRST_ROWS]))

    def _require_same(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Raise UsageError unless a shard was made as some facts say."""
        found = shards.read_facts(path)
        if {name: found.get(name) for name in facts} != facts:
            raise UsageError(
                f"{path} was made from other inputs or codebooks; "
                "choose another folder, or delete the old shards"
            )

    def _missing_files(
        self, profile: Profile, books: Mapping[EmbedderId, Codebook]
    ) -> dict[Path, bytes]:
        """Return the files beside the shards that are to be written, with their content.

        Raises UsageError for another codebook, which may be somebody's only copy, and for another
        profile. Where the folder has shards of the same making, another codebook is a damaged one.
        """
        missing, has_shards = {}, bool(shards.shard_paths(self.folder))
        for model_id, book in books.items():
            path = codebook_path(self.folder, model_id.title)
            if _codebook_id_of(path) != book.codebook_id:
                missing[path] = book.to_bytes()
        others = [path for path in missing if path.exists() and not has_shards]
        path = self.folder / shards.PROFILE
        kept = _profile_of(self.folder)
        if kept is None or kept.differences(profile):
            missing[path] = profile.to_toml().encode()
            if kept is not None:
                said = "; ".join(kept.differences(profile))
                raise UsageError(f"{path} is of another profile ({said}); choose another folder")
            others += [path] if path.exists() else []
        if others:
            raise UsageError(f"{others[0]} is not that of these codes; choose another folder")
        return missing

    @contextmanager
    def _decodable(self) -> Iterator[None]:
        """Write the profile and codebooks that are missing; remove them if the block fails."""
        folders = (self.folder, self.folder / FOLDER)
        made = [one for one in (*folders, *self._missing) if not one.exists()]
        try:
            for path, content in self._missing.items():
                write_whole(path, content)
            yield
        except BaseException:
            for path in reversed(made):
                with suppress(OSError):
                    path.rmdir() if path in folders else path.unlink()
            raise
        self._missing = {}

    def _within_budget(
        self, corpus: Corpus, start: int, stop: int
    ) -> tuple[dict[EmbedderId, shards.ShardPart], Int64Array]:
        """Return a shard's parts in the finest layouts that fit, and the bytes of each memory."""
        parts, before = self._encode(corpus, start, stop, 0), 0
        for step in steps_for(_mean_tokens(parts)):
            parts, before = self._encode(corpus, start, stop, step, before, parts), step
            sizes = _sizes(parts, stop - start)
            largest = int(sizes.max(initial=0))
            if self.budget_bytes is None or largest <= self.budget_bytes:
                return parts, sizes
        error = BudgetExceeded(budget_bytes=self.budget_bytes, smallest_bytes=largest)
        error.add_note(f"(memory {start + int(sizes.argmax())})")
        raise error

    def _encode(
        self,
        corpus: Corpus,
        start: int,
        stop: int,
        step: int,
        known_step: int = 0,
        known: Mapping[EmbedderId, shards.ShardPart] | None = None,
    ) -> dict[EmbedderId, shards.ShardPart]:
        """Return the parts at a step of the ladder; `known` has those of another."""
        router, parts = self._router_for(corpus), {}
        for model_id, column in corpus.items():
            if known and router.codec(model_id, step) == router.codec(model_id, known_step):
                parts[model_id] = known[model_id]
                continue
            first, last = column.within(start, stop)
            try:
                batch = router.quantize_batch(
                    model_id,
                    column.embeddings.batch(first, last),
                    self.num_threads,
                    compact=True,
                    step=step,
                )
            except QuantizationError as error:
                self._raise_named(corpus, start, stop, error)
            rows = None if column.rows is None else column.memories(first, last) - start
            parts[model_id] = shards.ShardPart(batch, rows)
        return parts


def _sizes(parts: Mapping[EmbedderId, shards.ShardPart], memories: int) -> Int64Array:
    """Return the bytes of each memory of a shard."""
    sizes = np.zeros(memories, np.int64)
    for batch, rows in parts.values():
        sizes[slice(None) if rows is None else rows] += shards.row_bytes(batch)
    return sizes


def _mean_tokens(parts: Mapping[EmbedderId, shards.ShardPart]) -> float:
    """Return how many tokens the texts of a shard have on average, 0 without texts."""
    columns = [batch.columns.get("original_tokens") for batch, _ in parts.values()]
    counts = [one for one in columns if one is not None]
    return float(np.concatenate(counts).mean()) if sum(map(len, counts)) else 0.0


def _profile_of(folder: Path) -> Profile | None:
    try:
        return shards.read_profile(folder)
    except InvalidInput:  # missing or damaged
        return None


def _codebook_id_of(path: Path) -> int | None:
    try:
        return Codebook.load(path).codebook_id
    except (CodebookMissing, StorageCorruption):
        return None
