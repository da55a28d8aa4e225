"""Encodes the memories of a corpus into a store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import compress
from types import TracebackType
from typing import NoReturn, Self, TypeAlias

from cgcython.base import EmbedderId, EmbedderName, Profile, ProfileName
from cgcython.checks import require_instance
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.corpus.byte_counts import ByteCounts
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.memory_ids import MemoryIds
from cgcython.embedders import Codebooks
from cgcython.embedders.losses import LossTotals
from cgcython.errors import InvalidInput, QuantizationError
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES, Fingerprint, QuantizedFingerprint, encode_all
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore
from cgcython.store.ids import StoredId, id_of
from cgcython.store.opening import has_database
from cgcython.store.places import as_place, place_of
from cgcython.types import Progress, StrPath

CodebookSource: TypeAlias = Mapping[EmbedderName, Codebook] | StrPath


class CorpusWriter(ABC):
    """Encodes the memories of a corpus, `chunk` at a time, and counts their bytes.

    `counts` has what was written, `skipped` how many memories had been written before. `profile` is
    that of the corpus unless another was given.
    """

    chunk: int

    def __init__(
        self,
        codebooks: CodebookSource | None,
        profile: ProfileName | None,
        budget_bytes: int | None,
        num_threads: int,
    ) -> None:
        self.profile = None if profile is None else Profile.named(profile)
        self.budget_bytes, self.num_threads = budget_bytes, num_threads
        self.counts, self.skipped = ByteCounts(), 0
        self._codebooks = codebooks
        self._router: QuantizationRouter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give back what the writer holds open; what was written stays."""

    def write_all(self, corpus: Corpus, progress: Progress | None = None) -> ByteCounts:
        """Write every memory of a corpus and return the counts.

        `progress` is called with the number of memories of each chunk that is done. Raises what
        encoding raises, with a note that names the memory; the chunks before it are written.
        """
        for start, stop in list(corpus.ranges(self.chunk)) or [(0, 0)]:
            self.write(corpus, start, stop)
            if progress is not None:
                progress(stop - start)
        return self.counts

    def losses(self) -> dict[EmbedderId, LossTotals]:
        """Return how many embeddings were encoded, and what a sample of them lost, by embedder."""
        return {} if self._router is None else self._router.loss_totals()

    @abstractmethod
    def write(self, corpus: Corpus, start: int, stop: int) -> None:
        """Write memories start to stop, one of the `corpus.ranges(writer.chunk)`."""

    def _router_for(self, corpus: Corpus) -> QuantizationRouter:
        """Return the router that encodes a corpus, which must be of the writer's profile."""
        if self.profile is None:
            self.profile = corpus.profile
        if differences := self.profile.differences(corpus.profile):
            expected = "that of the writer: open_corpus(..., profile=writer.profile)"
            actual = f"another ({'; '.join(differences)})"
            raise InvalidInput(what="profile", expected=expected, actual=actual)
        if self._router is None:
            self._router = self._new_router()
        return self._router

    def _new_router(self) -> QuantizationRouter:
        return QuantizationRouter(self._codebooks, self.profile)


def raise_named(
    corpus: Corpus,
    router: QuantizationRouter,
    budget_bytes: int | None,
    memories: tuple[int, int],
    error: QuantizationError,
) -> NoReturn:
    """Raise the error of the first memory of a range that cannot be encoded, named."""
    for memory in range(*memories):
        try:
            (one,) = corpus.fingerprints(memory, memory + 1)
            Fingerprint(one).encode(router, budget_bytes)
        except QuantizationError as found:
            found.add_note(f"(memory {memory})")
            raise found from None
    raise error


class StoreWriter(CorpusWriter):
    """Encodes a corpus into a store: each memory becomes one checked record under its id.

    A new store is made when the first memories are encoded; one that exists keeps its profile.
    `codebooks`, a mapping or the folder of `pq8_codebooks/`, are copied into the store; embedders
    without one among them use those that the store has. An id that the store has is written again
    or, with `resume`, skipped. Each chunk is written all or nothing. `budget_bytes` is what a
    record may take.

    Raises StoreUnavailable and StorageCorruption of the store, and what encoding raises.
    """

    chunk = 1024

    def __init__(
        self,
        path: StrPath,
        codebooks: CodebookSource | None = None,
        *,
        profile: ProfileName | None = None,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        num_threads: int = 1,
        resume: bool = False,
    ) -> None:
        super().__init__(codebooks, profile, budget_bytes, num_threads)
        self.path, self.resume = as_place(path), resume
        self._store: RecordStore | None = None
        self._ids: tuple[Corpus, MemoryIds] | None = None  # of the corpus that is written
        if has_database(path):
            self._store = RecordStore.open(path, profile=profile)
            self.profile = self._store.profile

    @classmethod
    def of(
        cls,
        store: RecordStore,
        router: QuantizationRouter,
        *,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
        num_threads: int = 1,
        resume: bool = False,
    ) -> Self:
        """Return a writer into an open store, encoding by a router whose codebooks it keeps."""
        require_instance(store, RecordStore, "store")
        require_instance(router, QuantizationRouter, "router")
        writer = cls.__new__(cls)
        CorpusWriter.__init__(writer, None, store.profile, budget_bytes, num_threads)
        writer.path, writer.resume = store.place, resume
        writer._store, writer._router, writer._ids = store, router, None
        return writer

    @property
    def is_new(self) -> bool:
        """Whether no store is there yet."""
        return self._store is None

    def begin(self, corpus: Corpus) -> dict[EmbedderId, int]:
        """Make the store ready for memories of a corpus: one that is there, with the codebooks.

        Returns the ids of those that encode the corpus, by embedder. Raises CodebookMissing before
        anything is changed.
        """
        router = self._router_for(corpus)
        needing = [one for one in corpus if codec_class(corpus.profile[one].method).needs_codebook]
        ids = {one: router.codebooks[one].codebook_id for one in needing}
        self._ready_store(router)
        return ids

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def write(self, corpus: Corpus, start: int, stop: int) -> None:
        """Store memories start to stop, all or nothing."""
        router = self._router_for(corpus)
        ids = list(map(id_of, self._ids_for(corpus)[start:stop]))
        known = self._known(ids) if self.resume else ()
        wanted = [one not in known for one in ids]
        try:
            memories = compress(corpus.fingerprints(start, stop), wanted)
            records = encode_all(
                list(map(Fingerprint, memories)), router, self.budget_bytes, self.num_threads
            )
        except QuantizationError as error:
            raise_named(corpus, router, self.budget_bytes, (start, stop), error)
        if corpus.metadata:
            about = compress(corpus.metadata[start:stop], wanted)
            records = [one.with_info(metadata=told or None) for one, told in zip(records, about)]
        self._store_records(router, zip(compress(ids, wanted), records))
        self.skipped += wanted.count(False)
        self.counts.add_records(records)

    def know_ids(self, corpus: Corpus, ids: MemoryIds) -> None:
        """Take some ids for those of a corpus."""
        self._ids = corpus, ids

    def knows_uuids(self, corpus: Corpus) -> bool:
        """Return whether the store knows memories without ids as an earlier release did."""
        return self._ids_for(corpus) is not corpus.ids

    def _ids_for(self, corpus: Corpus) -> MemoryIds:
        """Return the ids of a corpus, as the store knows memories that have none of their own."""
        if self._ids is None or self._ids[0] is not corpus:
            known = set[StoredId]() if self._store is None else self._store
            self._ids = corpus, corpus.ids.as_known(known)
        return self._ids[1]

    def _known(self, ids: list[StoredId]) -> set[StoredId]:
        return set() if self._store is None else self._store.existing(ids)

    def _new_router(self) -> QuantizationRouter:
        if self._store is None:
            return super()._new_router()
        kept, given = self._store.router.codebooks, Codebooks(self._codebooks, self.profile)
        return QuantizationRouter(_all_of(kept) | _all_of(given), self.profile)

    def _store_records(
        self, router: QuantizationRouter, records: Iterable[tuple[StoredId, QuantizedFingerprint]]
    ) -> None:
        is_new = self._store is None
        store = self._ready_store(router)
        try:
            store.store_quantized(records)
            store.note_losses(router)
        except BaseException:
            if is_new:
                remove_if_empty(store, self.path)
                self._store = None
            raise

    def _ready_store(self, router: QuantizationRouter) -> RecordStore:
        """Return the store, made where there was none, with the codebooks that it is to keep.

        It stays as it was until the first memories are encoded.
        """
        if self._store is None:
            self._store = RecordStore.open(self.path, _all_of(router.codebooks), self.profile)
        elif self._codebooks is not None:
            self._store.use_codebooks(_all_of(router.codebooks))
        self._codebooks = None
        return self._store


@contextmanager
def new_store(
    path: StrPath, codebooks: CodebookSource | None, profile: ProfileName | None
) -> Iterator[RecordStore]:
    """Yield a new store and close it; delete it if the block fails before it holds a record."""
    store = RecordStore.open(path, codebooks, profile)
    try:
        yield store
    except BaseException:
        remove_if_empty(store, path)
        raise
    finally:
        store.close()


def remove_if_empty(store: RecordStore, place: StrPath) -> None:
    """Close a store, and remove it if it holds no record."""
    is_empty = next(iter(store), None) is None
    store.close()
    if is_empty:
        place_of(place).remove()


def _all_of(codebooks: Codebooks) -> dict[EmbedderId, Codebook]:
    return {model_id: codebooks[model_id] for model_id in codebooks}
