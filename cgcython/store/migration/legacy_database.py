"""A database of the old system: a family of float32 values per embedder, keyed by UUID."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self
from uuid import UUID

from cgcython.base import EmbedderId, EmbedderName, ModelId, Profile, parse_embedder
from cgcython.errors import InvalidInput, QuantizationError, StorageCorruption, StoreUnavailable
from cgcython.store.ids import id_of
from cgcython.store.keepers.rocksdb import NAME, Foreign, Row
from cgcython.store.migration.legacy_values import LegacyRecord, LegacyValue, decode_value
from cgcython.store.records import RecordStore
from cgcython.types import StrPath

PREFIX = "emb_"  # followed by the number of the embedder, 0 to 12
KEY_BYTES = 16


class LegacyDatabase:
    """The memories of a legacy database, in the order of their keys; opened for reading only.

    Families are found by name, `emb_0` to `emb_12` or an embedder's; `families` maps embedders to
    others. `unknown` lists those that hold something else, and embedders outside the profile.
    Raises StoreUnavailable, InvalidInput and StorageCorruption.
    """

    KIND = NAME  # what such a database is called

    def __init__(
        self,
        path: StrPath,
        profile: Profile,
        families: Mapping[EmbedderName, str] | None = None,
    ) -> None:
        self.path, self.profile = Path(path), profile
        self._files = Foreign(path)
        try:
            self.families = _matched(self._files.names, families or {}, self.path)
            mapped = {name for one, name in self.families.items() if one in profile}
            others = [name for name in self._files.names if name not in mapped]
            self.unknown = [name for name in others if self._files.holds(name)]
        except BaseException:
            self._files.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def embedders(self) -> list[EmbedderId]:
        """The embedders that have a family."""
        return list(self.families)

    def facts(self) -> dict[str, str]:
        """Return what makes a later run the same one."""
        return {one.short: name for one, name in self.families.items()}

    def records(self, after: bytes = b"") -> Iterator[LegacyRecord]:
        """Yield a LegacyRecord for each key above `after`.

        A damaged block of a family costs those of its records that other families do not name;
        what is known of it is then the family's last record, without a key.
        """
        columns = {one: _Family(self._files, name, after) for one, name in self.families.items()}
        while heads := [one.key for one in columns.values() if one.key is not None]:
            yield self._record(min(heads), columns)
        for model_id, column in columns.items():
            if column.damage is not None:
                name = f"family {column.name} ({model_id.short})"
                yield LegacyRecord(b"\xff" * 17, name, None, {}, 0, column.damage)

    def _record(self, key: bytes, columns: Mapping[EmbedderId, "_Family"]) -> LegacyRecord:
        name = str(UUID(bytes=key)) if len(key) == KEY_BYTES else f"key 0x{key.hex()}"
        embeddings: dict[EmbedderId, LegacyValue] = {}
        size, error = 0, None
        for model_id, column in columns.items():
            try:
                value = column.take(key)
                if value is not None and model_id in self.profile:
                    size += len(value)
                    embeddings[model_id] = decode_value(value, self.profile[model_id])
            except QuantizationError as found:
                error = error or found.about(model_id)
        if len(key) != KEY_BYTES:
            actual = f"{len(key)} bytes"
            error = InvalidInput(what="key", expected="the 16 bytes of a UUID", actual=actual)
        return LegacyRecord(key, name, key if error is None else None, embeddings, size, error)

    def values(self, model_id: EmbedderId) -> Iterator[LegacyValue]:
        """Yield the embeddings of one embedder that are sound, to train on."""
        column = _Family(self._files, self.families[model_id], b"")
        while column.key is not None:
            try:
                value = column.take(column.key)
                if value is not None:
                    yield decode_value(value, self.profile[model_id])
            except QuantizationError:
                continue  # the migration itself says what is wrong with it

    def __len__(self) -> int:
        """Return about how many memories there are, as the database estimates."""
        return max(map(self._files.estimated_keys, self.families.values()), default=0)

    def keys(self) -> Iterator[bytes]:
        """Yield the key of every memory, in order."""
        return (one.place for one in self.records())


def require_all_there(source: LegacyDatabase, store: RecordStore) -> None:
    """Raise StoreUnavailable where a memory of a legacy database is not in a store."""
    for one in source.records():
        if one.key is None or id_of(one.key) not in store:
            reason = f"it lacks the legacy memory {one.name}; the legacy data are kept"
            raise StoreUnavailable(path=store.path, reason=reason)


class _Family:
    """One family, taken in the order of keys; behind a damaged block each key is asked for."""

    def __init__(self, files: Foreign, name: str, after: bytes) -> None:
        self.name, self._files = name, files
        self.key: bytes | None = None
        self.damage: StorageCorruption | None = None
        self._value: bytes | None = None
        self._rows: Iterator[Row] = iter(())
        try:
            self._rows = files.scan(name, start=after)
            self._advance()
            while self.key is not None and after and self.key <= after:
                self._advance()
        except StorageCorruption as error:
            self.damage = error

    def take(self, key: bytes) -> bytes | None:
        """Return the value of a key, None without one; raises StorageCorruption for its block."""
        if self.damage is not None:
            return self._files.get(self.name, key, f"family {self.name}")
        if self.key != key:
            return None
        value = self._value
        self._advance()
        return value

    def _advance(self) -> None:
        try:
            row = next(self._rows, None)
            self.key, self._value = (None, None) if row is None else row
        except StorageCorruption as error:
            self.damage, self.key = error, None


def _matched(
    found: list[str], given: Mapping[EmbedderName, str], path: Path
) -> dict[EmbedderId, str]:
    """Return `{ModelId: family}` of given names and of those that speak for themselves."""
    for name in given.values():
        if name not in found:
            raise InvalidInput(what="family", expected=", ".join(found), actual=name)
    matched: dict[EmbedderId, str]
    matched = {parse_embedder(one): name for one, name in given.items()}
    for name in found:
        model_id = _named(name)
        if model_id is not None and matched.setdefault(model_id, name) != name:
            if model_id in [parse_embedder(one) for one in given]:
                continue
            expected = f"one family for {model_id.short}; say which, as in {model_id.short}={name}"
            actual = f"{matched[model_id]} and {name}"
            raise InvalidInput(what="families", expected=expected, actual=actual)
    if not matched:
        reason = f"none of its families ({', '.join(found)}) has an embedder's name"
        raise StoreUnavailable(path=path, reason=f"{reason}; say which are, as in E1=name")
    return dict(sorted(matched.items()))


def _named(name: str) -> EmbedderId | None:
    number = name.removeprefix(PREFIX)
    try:
        is_numbered = number != name and number.isdecimal()
        return ModelId.parse(int(number) if is_numbered else name)
    except InvalidInput:
        return None
