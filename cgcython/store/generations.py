"""Moves records from earlier codebooks to a new one, while both are in use."""

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TypeAlias

from cgcython import frames
from cgcython.base import EmbedderId, EmbedderName
from cgcython.checks import require_progress, require_whole
from cgcython.codecs.base import codec_class
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.manifest import Manifest, section_crc
from cgcython.metadata import codebook_id_of
from cgcython.records import QuantizedEmbedding
from cgcython.similarity import cosine_similarity
from cgcython.store import trash
from cgcython.store.deleting import RecordDeleter
from cgcython.store.ids import as_key, name_of
from cgcython.store.keeper import Change, Stripe
from cgcython.store.moved import Moved, Reencoded, in_passes
from cgcython.store.shelf import ID_BYTES, Codebooks
from cgcython.store.writing import BATCH
from cgcython.types import Progress

_Encoded: TypeAlias = tuple[bytes, QuantizedEmbedding]  # a record's key, and one section of it


class GenerationWriter(RecordDeleter):
    """A writer whose embedders change their codebooks."""

    def use_codebooks(self, codebooks: Codebooks) -> None:
        """Encode with other codebooks from now on; records keep those they were made with."""
        with self._writing:
            self._shelf.add(codebooks)
            self._take_codebooks()
        self._forget_columns()

    def reencode(
        self,
        model_id: EmbedderName,
        codebook: Codebook,
        *,
        batch_size: int = BATCH,
        progress: Progress | None = None,
    ) -> Reencoded:
        """Move the records of an embedder to a codebook, and return a Reencoded of how it went.

        Codes of other codebooks are decoded and encoded anew; later records are encoded with the
        new one at once. Each batch is written all or nothing, and both generations are read until
        all is done: after an interruption, the same call goes on. It ends early where another
        thread has the embedder use another codebook. `progress` is called with the size of each
        batch. Raises StorageCorruption naming damaged records, which stay.
        """
        wanted, size = self.begin_reencode(model_id, codebook, batch_size)
        made = codebook.codebook_id
        one_pass = partial(self.move_part, wanted, made, None, size, progress)
        return in_passes(lambda: [one_pass()], wanted.short, self.place)

    def begin_reencode(
        self, model_id: EmbedderName, codebook: Codebook, batch_size: int = BATCH
    ) -> tuple[EmbedderId, int]:
        """Encode an embedder with a codebook from now on; return it and the size of batches.

        Raises InvalidInput for an embedder that has no codebook.
        """
        wanted = self.profile.embedder(model_id)
        size = min(require_whole(batch_size, "batch_size", least=1), sys.maxsize)
        if not codec_class(self.profile[wanted].method).needs_codebook:
            actual = f"{wanted.short}, kept as {self.profile[wanted].method}"
            raise InvalidInput(what="embedder", expected="one that has a codebook", actual=actual)
        self._keeper.require_writable()
        self.use_codebooks({wanted: codebook})
        return wanted, size

    def move_part(
        self,
        model_id: EmbedderId,
        codebook_id: int,
        part: Stripe | None = None,
        batch_size: int = BATCH,
        progress: Progress | None = None,
    ) -> Moved:
        """Move the records of a part of the keys to a codebook of the store, and return the Moved.

        Those that are damaged stay, and are named in it.
        """
        require_progress(progress)
        size = min(require_whole(batch_size, "batch_size", least=1), sys.maxsize)
        wanted, codebook, moved = (
            self.profile.embedder(model_id),
            self.codebook(codebook_id),
            Moved(),
        )
        try:
            for batch in self._earlier(wanted, codebook_id, size, part):
                found = Moved.of(self._move(wanted, codebook, batch))
                moved = moved.plus(found)
                if progress is not None:
                    progress(found.records)
        except StorageCorruption as error:
            if not error.ids:
                raise
            return moved._replace(damaged=tuple(map(as_key, error.ids)))
        return moved

    def _earlier(
        self, model_id: EmbedderId, codebook_id: int, batch_size: int, part: Stripe | None
    ) -> Iterator[list[_Encoded]]:
        """Yield batches of what other codebooks made; damage is raised after all sound records."""
        rows = self._rows_of_others(model_id, codebook_id, part)
        while True:
            batch: list[_Encoded] = []
            try:
                batch.extend(islice(rows, batch_size))
            except StorageCorruption:
                yield batch
                raise
            if not batch:
                return
            yield batch

    def _rows_of_others(
        self, model_id: EmbedderId, codebook_id: int, part: Stripe | None
    ) -> Iterator[_Encoded]:
        for key, quantized in self.scan(model_id, part):
            if getattr(quantized.metadata, "codebook_id", codebook_id) != codebook_id:
                yield key, quantized

    def _move(self, model_id: EmbedderId, codebook: Codebook, batch: list[_Encoded]) -> list[float]:
        """Write a batch with a codebook; return the loss of each record that was still there.

        None is, where another thread has the embedder use another codebook meanwhile.
        """
        losses: list[float] = []

        def changes() -> list[Change]:
            losses.clear()
            if self._shelf.generations()[model_id][-1] != codebook.codebook_id:
                return []
            found: list[Change] = []
            heads = self._keeper.heads([key for key, _ in batch])
            for (key, quantized), head in zip(batch, heads):
                before = section_crc(frames.write_section(quantized, model_id))
                manifest = None if head is None else self._manifest_or_error(head)
                if not isinstance(manifest, Manifest) or manifest.checksums.get(model_id) != before:
                    continue  # replaced or deleted since it was read
                section, loss = self._recoded(model_id, codebook, quantized)
                losses.append(loss)
                sections = {model_id: section}
                new = manifest.replaced(sections).to_bytes()
                found.append(Change(key, new, sections, head, [model_id], partial=True))
            return found

        self._write(changes)
        return losses

    def _recoded(
        self, model_id: EmbedderId, codebook: Codebook, quantized: QuantizedEmbedding
    ) -> tuple[bytes, float]:
        """Return the section of an embedding in a codebook, and what that loses."""
        earlier = self._shelf.codebook(quantized.metadata.codebook_id)
        values = earlier.dequantize(quantized.data)
        encoded = QuantizedFingerprint({model_id: self.router.quantize(model_id, values)})
        after = codebook.dequantize(codebook.quantize(values))
        return encoded.sections[model_id], 1 - float(cosine_similarity(values, after))

    def drop_codebooks(self) -> list[int]:
        """Remove the codebooks that no record needs and no embedder encodes with.

        Returns their ids. Records in the trash count as records; writes wait meanwhile.
        """
        self._keeper.require_writable()
        with self._writing:
            lists = self._shelf.lists()
            if self._keeper.promises.one_writer:
                return self._shelf.drop(self._needed(), lists)
            # Other processes that write see these lists: from now on they write with no others.
            newest = {name: ids and ids[-ID_BYTES:] for name, ids in lists.items()}
            self._shelf.put(newest, lists)
            try:
                needed = self._needed()
            except BaseException:
                self._shelf.put(lists, newest)
                raise
            return self._shelf.drop(needed, newest)

    def _needed(self) -> set[int]:
        """Return the ids of the codebooks that encode, and of those that records need."""
        needed = {ids[-1] for ids in self._shelf.generations().values() if ids}
        for model_id in self._shelf.embedders():
            needed.update(_codebook_ids([one for _, one in self.scan(model_id)]))
        for key, value in self._keeper.scan_gone():
            where = f"record {name_of(key)} in the trash"
            record = trash.unpack(value, where)[1]
            parts = QuantizedFingerprint.from_bytes(record, where, self.profile)
            needed.update(_codebook_ids(parts.values()))
        return needed


def _codebook_ids(quantized: Iterable[QuantizedEmbedding]) -> set[int]:
    found = (codebook_id_of(one.metadata) for one in quantized)
    return {codebook_id for codebook_id in found if codebook_id is not None}
