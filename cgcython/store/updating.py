"""Replaces some embeddings of a record, and keeps all of it within its byte budget."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from cgcython.base import EmbedderId
from cgcython.checks import require_mapping, require_whole
from cgcython.errors import BudgetExceeded
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES, Fingerprint, QuantizedFingerprint
from cgcython.manifest import size_of
from cgcython.store import trash
from cgcython.store.adding import RecordAdder
from cgcython.store.ids import RecordId, as_key, name_of
from cgcython.store.items import Embeddings
from cgcython.store.keeper import Change, Record
from cgcython.store.naming import naming


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
        self._keeper.require_writable()
        if budget_bytes is not None:
            require_whole(budget_bytes, "budget_bytes")
        pairs = require_mapping(embeddings, "embeddings").items()
        given = {self.profile.embedder(key): value for key, value in pairs}
        new = Fingerprint({key: value for key, value in given.items() if value is not None})
        key = as_key(record_id)

        def changes() -> list[Change]:
            return list(self._changed(key, new, given, metadata, timestamp, budget_bytes))

        with naming(key):
            return bool(self._write(changes))

    def _changed(
        self,
        key: bytes,
        new: Fingerprint,
        given: Mapping[EmbedderId, Any],
        metadata: Mapping[str, Any] | None,
        timestamp: datetime | int | None,
        budget_bytes: int | None,
    ) -> Iterator[Change]:
        """Yield the change that replaces what is given, where there is a record."""
        encoded = finest = new.encode(self.router, None)
        (before,) = self._keeper.heads([key])
        if before is None:
            return
        manifest = self._manifest_of(before, f"record {name_of(key)}")
        if new and budget_bytes is not None:
            taken = self._taken(key, manifest.checksums.keys() - given.keys(), len(new))
            encoded = self._within(budget_bytes, taken, new, finest)
        sections: dict[EmbedderId, bytes | None] = dict.fromkeys(given)
        sections.update(encoded.sections)
        moment = trash.microseconds(timestamp)
        head = manifest.replaced(sections).with_info(updated=moment, metadata=metadata)
        yield Change(key, head.to_bytes(), sections, before, sections.keys(), partial=True)

    def _taken(self, key: bytes, kept: Collection[EmbedderId], added: int) -> int:
        """Return the bytes of a record besides those that a record of the added ones would take.

        A kept section that cannot be read counts nothing: it is no reason to refuse others.
        """
        size = size_of(len(kept) + added) - size_of(added)
        for model_id in kept:
            (found,) = self._keeper.records([key], [int(model_id)])
            section = found.sections.get(int(model_id)) if isinstance(found, Record) else None
            size += len(section) if isinstance(section, bytes) else 0
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
