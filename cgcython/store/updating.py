"""Replaces some embeddings of a record, and keeps all of it within its byte budget."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from cgcython.base import EmbedderId
from cgcython.checks import require_mapping, require_whole
from cgcython.errors import BudgetExceeded, StorageCorruption
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES, Fingerprint, QuantizedFingerprint
from cgcython.manifest import Manifest, size_of
from cgcython.store import trash
from cgcython.store.adding import RecordAdder
from cgcython.store.ids import RecordId, as_key
from cgcython.store.items import Embeddings
from cgcython.store.journal import mask_of
from cgcython.store.keepers.rocksdb import Put
from cgcython.store.naming import naming
from cgcython.store.writing import PREFIXES, section_keys


class RecordUpdater(RecordAdder):
    """A RecordAdder that replaces parts of records too."""

    def update(
        self,
        record_id: RecordId,
        embeddings: Embeddings,
        *,
        metadata: Mapping[str, Any] | None = None,
        timestamp: datetime | int | None = None,
        budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    ) -> bool:
        """Replace some embeddings of a record and return whether there is such a record.

        `embeddings` is `{ModelId: value}`; None takes an embedder away. The other sections stay as
        they are: what they leave of the budget is that of the new ones, which take the finest
        layouts that fit. None lifts it. Other arguments as in `store`. Raises BudgetExceeded, and
        what the codecs raise, before anything is written.
        """
        self._files.require_writable()
        if budget_bytes is not None:
            require_whole(budget_bytes, "budget_bytes")
        pairs = require_mapping(embeddings, "embeddings").items()
        given = {self.profile.embedder(key): value for key, value in pairs}
        new = Fingerprint({key: value for key, value in given.items() if value is not None})
        key = as_key(record_id)
        with self._writing, naming(key):  # in which no codebook is dropped
            finest = new.encode(self.router, None)
            manifest = self._manifest(key)
            if manifest is None:
                return False
            encoded = finest
            if new and budget_bytes is not None:
                taken = self._taken(key, manifest.checksums.keys() - given.keys(), len(new))
                encoded = self._within(budget_bytes, taken, new, finest)
            sections: dict[EmbedderId, bytes | None] = dict.fromkeys(given)
            sections.update(encoded.sections)
            moment = trash.microseconds(timestamp)
            head = manifest.replaced(sections).with_info(updated=moment, metadata=metadata)
            self._replace(key, head, sections)
        return True

    def _taken(self, key: bytes, kept: Collection[EmbedderId], added: int) -> int:
        """Return the bytes of a record besides those that a record of the added ones would take.

        A kept section that cannot be read counts nothing: it is no reason to refuse others.
        """
        size = size_of(len(kept) + added) - size_of(added)
        for model_id in kept:
            with suppress(StorageCorruption):
                size += len(self._files.get("sections", PREFIXES[model_id] + key) or b"")
        return size

    def _within(
        self, budget_bytes: int, taken: int, new: Fingerprint, finest: QuantizedFingerprint
    ) -> QuantizedFingerprint:
        """Return new embeddings in the finest layouts that fit what others left of a budget."""
        left = max(budget_bytes - taken, 0)
        if finest.fits(left):
            return finest
        try:
            return new.encode(self.router, left)
        except BudgetExceeded as error:
            smallest = taken + error.smallest_bytes
            raise BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=smallest) from None

    def _replace(
        self, key: bytes, head: Manifest, sections: Mapping[EmbedderId, bytes | None]
    ) -> None:
        """Write a manifest and the sections it is new for, None for one to remove."""
        puts: list[Put] = [("records", key, head.to_bytes())]
        gone: list[EmbedderId] = []
        for model_id, section in sections.items():
            if section is None:
                gone.append(model_id)
            else:
                puts.append(("sections", PREFIXES[model_id] + key, section))
        self.journal.write(puts, section_keys(key, gone), {key: mask_of(sections)})
