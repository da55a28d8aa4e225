"""Reads the records of a store: all of one, one embedder of it, or one embedder of all."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from cgcython.base import EmbedderName
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.fingerprint import read_section
from cgcython.manifest import RecordInfo
from cgcython.records import QuantizedEmbedding
from cgcython.store.id_prefixes import IdPrefix
from cgcython.store.ids import StoredId, id_of, name_of
from cgcython.store.keeper import Read, Stripe
from cgcython.store.lookup import RecordLookup
from cgcython.store.naming import naming
from cgcython.types import BytesLike


class RecordReader(RecordLookup):
    """A RecordLookup that reads all records one after the other, too."""

    def _metadata_texts(
        self, keys: Sequence[bytes] | None = None
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield (key, metadata as JSON, empty for none) of all records in order, or of some keys.

        The text of a key without a record is None. Raises StorageCorruption naming all damaged
        records, after the last sound one.
        """
        damaged: list[bytes] = []
        rows: Iterable[tuple[bytes, Read | None]] = self._keeper.scan_heads()
        if keys is not None:
            rows = zip(keys, self._keeper.heads(keys))
        for key, head in rows:
            try:
                yield key, None if head is None else self._manifest_of(head, "metadata").text
            except StorageCorruption:
                damaged.append(key)
        self._require_sound("metadata", damaged)

    def parts(self) -> Sequence[Stripe]:
        """Return parts of the keys that `scan` takes, of about as many records each.

        Together they have all keys. A folder is one part.
        """
        self._keeper.require_open()
        return self._keeper.parts()

    def scan(
        self, model_id: EmbedderName, part: Stripe | None = None
    ) -> Iterator[tuple[bytes, QuantizedEmbedding]]:
        """Yield (key, QuantizedEmbedding) of one embedder, in the order of keys: all, or of a part.

        The key of a UUID is its 16 bytes; `id_of` returns the id of any.
        Raises StorageCorruption naming all damaged records, after the last sound one, and
        InvalidInput for a part that is none.
        """
        wanted = self.profile.embedder(model_id)
        self._require_part(part)
        damaged: list[bytes] = []
        for key, section in self.sections(wanted, damaged, part=part):
            try:
                yield key, read_section(section, wanted, f"record {name_of(key)}")
            except StorageCorruption:
                damaged.append(key)
        self._require_sound(wanted.short, damaged)

    def _require_part(self, part: object) -> None:
        is_stripe = type(part) is int and part in range(self._keeper.stripes())
        is_range = isinstance(part, tuple) and [*map(type, part)] == [bytes, bytes]
        if part is not None and not is_stripe and not is_range:
            raise InvalidInput(what="part", expected="one of store.parts()", actual=part)

    def sections(
        self,
        model_id: EmbedderName,
        damaged: list[bytes],
        disowned: list[bytes] | None = None,
        part: Stripe | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, section) of one embedder in the order of keys, unchecked.

        Keys whose block cannot be read are added to `damaged`; those whose section is none that
        their record lists to `disowned`, by default to `damaged` too. Where a manifest is damaged
        that cannot be told.
        """
        wanted, others = self.profile.embedder(model_id), damaged if disowned is None else disowned
        for keys, found, own in self._keeper.scan_sections(int(wanted), part):
            for key, section, is_own in zip(keys, found, own):
                self._keeper.require_open()  # a stretch was read before
                if isinstance(section, StorageCorruption):
                    damaged.append(key)
                elif is_own:
                    yield key, section
                else:
                    others.append(key)

    def __iter__(self) -> Iterator[StoredId]:
        """Yield the ids in order, as they are now; raises StorageCorruption at a damaged block."""
        return self.ids()

    def ids(self, prefix: BytesLike | str = "") -> Iterator[StoredId]:
        """Return an iterator over the ids in the order of their keys: those that begin so.

        Text is how a text id or the text of a UUID begins, bytes are how those of a UUID begin.
        UUIDs are in the order of their bytes. Integers ascend, then come texts of all lengths but
        15 bytes in the order of their UTF-8, then those of 15 bytes.
        """
        return (id_of(key) for key, _ in self._heads_from(prefix))

    def infos(self, prefix: BytesLike | str = "") -> Iterator[tuple[StoredId, RecordInfo]]:
        """Yield (id, RecordInfo) in the order of ids, of those that begin so; reads no sections.

        Raises StorageCorruption, naming the id, at a damaged record.
        """
        for key, head in self._heads_from(prefix):
            with naming(key):
                info = self._manifest_of(head, f"record {name_of(key)}").info
            yield id_of(key), info

    def _heads_from(self, prefix: BytesLike | str) -> Iterator[tuple[bytes, Read]]:
        wanted = IdPrefix.of(prefix)
        if wanted is None:
            return self._keeper.scan_heads()
        stretches = [self._keeper.scan_heads(start) for start in wanted.starts()]
        return (row for row in chain.from_iterable(stretches) if wanted.matches(row[0]))

    def __len__(self) -> int:
        return sum(1 for _ in self._keeper.scan_heads())
