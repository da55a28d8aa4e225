"""Where `encode` puts codes: records of a store, or shards of columns."""

from pathlib import Path
from zlib import crc32

import numpy as np

from cgcython.base import Profile, QuantizationMethod
from cgcython.codecs.codebook_file import codebook_path
from cgcython.corpus.byte_counts import Tally
from cgcython.embedders.ladder import LADDER
from cgcython.errors import BudgetExceeded, QuantizationError, UsageError
from cgcython.files import written_whole
from cgcython.fingerprint import Fingerprint
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore, shards
from cgcython.store.opening import has_database


class Sink:
    """What both have in common: a tally, a number of skipped memories, a profile."""

    def __init__(self, args):
        self.args, self.tally, self.skipped = args, Tally(), 0

    def name_memory(self, corpus, start, stop, router, error):
        """Raise the error of the first memory of a range that cannot be encoded, named."""
        for at in range(start, stop):
            try:
                (one,) = corpus.fingerprints(at, at + 1)
                Fingerprint(one).encode(router, self.args.budget)
            except QuantizationError as found:
                found.add_note(f"(memory {at})")
                raise found from None
        raise error


class StoreSink(Sink):
    """Stores memories as records; each chunk is written all or nothing."""

    chunk = 1024

    def __init__(self, args):
        super().__init__(args)
        # A new store is made only after the inputs were read.
        self._store = self._open() if has_database(args.store) else None
        self.profile = self._store.profile if self._store else Profile.named(args.profile)

    def _open(self):
        return RecordStore.open(self.args.store, self.args.models, self.args.profile)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._store is not None:
            self._store.close()

    def write(self, corpus, start, stop):
        """Store a range of memories."""
        self._store = self._store or self._open()
        store, args = self._store, self.args
        ids = corpus.ids[start:stop]
        keep = [not (args.resume and one in store) for one in ids]
        self.skipped += keep.count(False)
        try:
            memories = [
                Fingerprint(one) for one, new in zip(corpus.fingerprints(start, stop), keep) if new
            ]
            records = store.encode(memories, args.threads, args.budget)
        except QuantizationError as error:
            self.name_memory(corpus, start, stop, store.router, error)
        store.store_quantized(zip([one for one, new in zip(ids, keep) if new], records))
        self.tally.add_records(records)


class ShardSink(Sink):
    """Writes one shard for each range of memories, with codebooks and profile beside them."""

    def __init__(self, args):
        super().__init__(args)
        self.profile = Profile.named(args.profile)
        self.folder, self.chunk = Path(args.out), args.shard_size
        self._router = QuantizationRouter(args.models, args.profile)
        self._facts = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, corpus, start, stop):
        """Write the shard of a range, unless a finished one of the same making is there."""
        if self._facts is None:
            self._facts = self._prepare(corpus)
        path = shards.shard_path(self.folder, start // self.chunk)
        ids = np.frombuffer(b"".join(corpus.ids[start:stop]), np.uint8).reshape(-1, 16)
        facts = {**self._facts, "first": start, "ids_crc32": crc32(ids.data)}
        if path.exists():
            self._require_same(path, facts)
            self.skipped += stop - start
            return
        parts, sizes = self._within_budget(corpus, start, stop)
        shards.write_shard(path, shards.Shard(ids, parts, facts))
        self.tally.add_batches({one: part.batch for one, part in parts.items()}, sizes)

    def _prepare(self, corpus):
        """Write what decoding needs beside the shards; return what makes shards the same."""
        books = {
            one: self._router.codebooks[one]
            for one in corpus
            if self.profile[one].method is QuantizationMethod.PQ8
        }
        for model_id, book in books.items():
            book.save(codebook_path(self.folder, model_id.title), force=True)
        with written_whole(self.folder / shards.PROFILE) as path:
            path.write_text(self.profile.to_toml())
        return {
            "memories": corpus.num_memories,
            "shard_size": self.chunk,
            "inputs": [[one.name, *_stamp(one)] for one in corpus.paths],
            "codebooks": {one.short: book.codebook_id for one, book in books.items()},
        }

    def _require_same(self, path, facts):
        if shards.read_facts(path) != facts:
            raise UsageError(
                f"{path} was made from other inputs or codebooks; "
                "choose another --out or delete the old shards"
            )

    def _within_budget(self, corpus, start, stop):
        """Return the parts of a shard in the finest layouts in which every memory fits, and sizes.

        A shard keeps all its tokens in one layout.
        """
        parts = {}
        for step in range(len(LADDER)):
            parts = self._encode(corpus, start, stop, step, parts)
            sizes = _sizes(parts, stop - start)
            largest = int(sizes.max(initial=0))
            if largest <= self.args.budget:
                return parts, sizes
        error = BudgetExceeded(budget_bytes=self.args.budget, smallest_bytes=largest)
        error.add_note(f"(memory {start + int(sizes.argmax())})")
        raise error

    def _encode(self, corpus, start, stop, step, parts):
        """Return the parts at a step of the ladder; those that keep their layout as they are."""
        found = {}
        for model_id, source in corpus.items():
            before, layout = parts.get(model_id), _layout_at(step, self.profile[model_id].method)
            if before is not None and before.batch.shared.get("layout") == layout:
                found[model_id] = before
                continue
            first, last = source.within(start, stop)
            column = source.column.batch(first, last)
            try:
                batch = self._router.quantize_batch(
                    model_id, column, self.args.threads, compact=True, step=step
                )
            except QuantizationError as error:
                self.name_memory(corpus, start, stop, self._router, error)
            rows = None if source.rows is None else source.memories(first, last) - start
            found[model_id] = shards.ShardPart(batch, rows)
        return found


def _layout_at(step, method):
    return LADDER[step].layouts.get(method)


def _sizes(parts, memories):
    """Return the bytes of each memory of a shard."""
    sizes = np.zeros(memories, np.int64)
    for batch, rows in parts.values():
        sizes[slice(None) if rows is None else rows] += shards.row_bytes(batch)
    return sizes


def _stamp(path):
    found = path.stat()
    return found.st_size, found.st_mtime_ns
