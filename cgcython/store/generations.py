"""Moves records from earlier codebooks to a new one, while both are in use."""

from itertools import islice
from typing import NamedTuple

from cgcython.base import ModelId, QuantizationMethod
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint, frames
from cgcython.manifest import Manifest, section_crc
from cgcython.metadata import PQ8Metadata
from cgcython.router import QuantizationRouter
from cgcython.similarity import cosine_similarity
from cgcython.store import trash
from cgcython.store.ids import name_of
from cgcython.store.journal import mask_of
from cgcython.store.writing import BATCH, RecordWriter


class Reencoded(NamedTuple):
    """How many records moved to a codebook, and what that cost them.

    A loss is 1 - the cosine of what a record decoded to before and after.
    """

    records: int
    mean_loss: float
    max_loss: float


class GenerationWriter(RecordWriter):
    """A RecordWriter whose embedders change their codebooks."""

    def use_codebooks(self, codebooks):
        """Encode with other codebooks from now on; records keep those they were made with."""
        self._shelf.add(codebooks)
        self.router = QuantizationRouter(self._shelf.current(), profile=self.profile)

    def reencode(self, model_id, codebook, *, batch_size=BATCH, progress=None):
        """Move the records of an embedder to a codebook, and return a Reencoded of how it went.

        Codes of other codebooks are decoded and encoded anew; later records are encoded with the
        new one at once. Each batch is written all or nothing, and both generations are read until
        all is done: after an interruption, the same call goes on. `progress` is called with the
        size of each batch. Raises StorageCorruption naming damaged records, which stay.
        """
        model_id = ModelId.parse(model_id)
        if self.profile[model_id].method is not QuantizationMethod.PQ8:
            actual = f"{model_id.short}, kept as {self.profile[model_id].method}"
            raise InvalidInput(what="embedder", expected="one that has a codebook", actual=actual)
        self.use_codebooks({model_id: codebook})
        losses, moved = [], None
        while moved != 0:  # one that was encoded before and written since comes in the next round
            moved = 0
            for batch in self._earlier(model_id, codebook.codebook_id, batch_size):
                found = self._move(model_id, codebook, batch)
                losses += found
                moved += len(found)
                if progress is not None:
                    progress(len(found))
        mean = sum(losses) / len(losses) if losses else 0.0
        return Reencoded(len(losses), mean, max(losses, default=0.0))

    def _earlier(self, model_id, codebook_id, batch_size):
        """Yield lists of (key, QuantizedEmbedding) that another codebook made."""
        rows = self._rows_of_others(model_id, codebook_id)
        damage = None
        while batch := list(islice(rows, batch_size)):
            if isinstance(batch[-1], StorageCorruption):
                damage = batch.pop()
            yield batch
        if damage is not None:  # by now, all that is sound has moved
            raise damage

    def _rows_of_others(self, model_id, codebook_id):
        try:
            for key, quantized in self.scan(model_id):
                if getattr(quantized.metadata, "codebook_id", codebook_id) != codebook_id:
                    yield key, quantized
        except StorageCorruption as error:
            yield error

    def _move(self, model_id, codebook, batch):
        """Write a batch with a codebook; return the loss of each record that was still there."""
        puts, changes, losses = [], {}, []
        with self._writing:
            for (key, quantized), manifest in zip(batch, self._manifests([k for k, _ in batch])):
                before = section_crc(frames.write_section(quantized, model_id))
                if not isinstance(manifest, Manifest) or manifest.checksums.get(model_id) != before:
                    continue  # replaced or deleted since it was read
                values = self._shelf.codebook(quantized.metadata.codebook_id).dequantize(
                    quantized.data
                )
                section = QuantizedFingerprint(
                    {model_id: self.router.quantize(model_id, values)}
                ).sections[model_id]
                head = manifest.replaced({model_id: section})
                puts.append(("records", key, head.to_bytes()))
                puts.append(("sections", bytes([model_id]) + key, section))
                changes[key] = mask_of([model_id])
                after = codebook.dequantize(codebook.quantize(values))
                losses.append(1 - float(cosine_similarity(values, after)))
            if puts:
                self.journal.write(puts, [], changes)
        return losses

    def drop_codebooks(self):
        """Remove the codebooks that no record needs and no embedder encodes with.

        Returns their ids. Records in the trash count as records; writes wait meanwhile.
        """
        with self._writing:
            needed = {book.codebook_id for book in self._shelf.current().values()}
            for model_id in self._shelf.embedders():
                needed.update(_codebook_ids([one for _, one in self.scan(model_id)]))
            for key, value in self._files.scan("trash"):
                where = f"record {name_of(key)} in the trash"
                record = trash.unpack(value, where)[1]
                needed.update(
                    _codebook_ids(QuantizedFingerprint.from_bytes(record, where).values())
                )
            return self._shelf.drop(needed)


def _codebook_ids(quantized):
    return {one.metadata.codebook_id for one in quantized if isinstance(one.metadata, PQ8Metadata)}
