"""A RocksDB of the old shape: a column family of float32 values per embedder, keyed by UUID."""

from pathlib import Path
from uuid import UUID

from cgcython.base import ModelId
from cgcython.errors import InvalidInput, QuantizationError, StorageCorruption, StoreUnavailable
from cgcython.store.keepers.rocksdb import database
from cgcython.store.keepers.rocksdb.foreign import Foreign, list_families
from cgcython.store.migration.legacy_values import LegacyRecord, decode_value

PREFIX = "emb_"  # followed by the number of the embedder, 0 to 12
KEY_BYTES = 16


class LegacyDatabase:
    """The memories of a legacy database, in the order of their keys; opened for reading only.

    Families are found by name, `emb_0` to `emb_12` or an embedder's; `families` maps embedders to
    others. `unknown` lists those that hold something else, and embedders outside the profile.
    Raises StoreUnavailable, InvalidInput and StorageCorruption.
    """

    def __init__(self, path, profile, families=None):
        self.path, self.profile = Path(path), profile
        if not database.exists(path):
            reason = "there is no RocksDB database; check the path"
            raise StoreUnavailable(path=self.path, reason=reason)
        found = list_families(path)
        self.families = _matched(found, families or {}, self.path)
        self._files = Foreign(path)
        mapped = {name for one, name in self.families.items() if one in profile}
        self.unknown = [name for name in sorted(found - mapped) if self._files.holds(name)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._files.close()

    @property
    def embedders(self):
        """The embedders that have a family."""
        return list(self.families)

    def facts(self):
        """Return what makes a later run the same one."""
        return {one.short: name for one, name in self.families.items()}

    def records(self, after=b""):
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

    def _record(self, key, columns):
        name = str(UUID(bytes=key)) if len(key) == KEY_BYTES else f"key 0x{key.hex()}"
        embeddings, size, error = {}, 0, None
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

    def values(self, model_id):
        """Yield the embeddings of one embedder that are sound, to train on."""
        column = _Family(self._files, self.families[model_id], b"")
        while column.key is not None:
            try:
                yield decode_value(column.take(column.key), self.profile[model_id])
            except QuantizationError:
                continue  # the migration itself says what is wrong with it

    def __len__(self):
        """Return about how many memories there are, as RocksDB estimates."""
        return max(map(self._files.estimated_count, self.families.values()), default=0)

    def keys(self):
        """Yield the key of every memory, in order."""
        return (one.place for one in self.records())


def require_all_there(source, store):
    """Raise StoreUnavailable where a memory of a legacy database is not in a store."""
    for one in source.records():
        if one.key is None or one.key not in store:
            reason = f"it lacks the legacy memory {one.name}; the legacy data are kept"
            raise StoreUnavailable(path=store.path, reason=reason)


class _Family:
    """One family, taken in the order of keys; behind a damaged block each key is asked for."""

    def __init__(self, files, name, after):
        self.name, self._files = name, files
        self.key = self.damage = self._value = None
        self._rows = iter(())
        try:
            self._rows = files.scan(name, start=after)
            self._advance()
            while self.key is not None and after and self.key <= after:
                self._advance()
        except StorageCorruption as error:
            self.damage = error

    def take(self, key):
        """Return the value of a key, None without one; raises StorageCorruption for its block."""
        if self.damage is not None:
            return self._files.get(self.name, key, f"family {self.name}")
        if self.key != key:
            return None
        value = self._value
        self._advance()
        return value

    def _advance(self):
        try:
            self.key, self._value = next(self._rows, (None, None))
        except StorageCorruption as error:
            self.damage, self.key = error, None


def _matched(found, given, path):
    """Return `{ModelId: family}` of given names and of those that speak for themselves."""
    for name in given.values():
        if name not in found:
            raise InvalidInput(what="family", expected=", ".join(sorted(found)), actual=name)
    matched = {ModelId.parse(one): name for one, name in given.items()}
    for name in sorted(found - set(matched.values())):
        model_id = _named(name)
        if model_id is not None and matched.setdefault(model_id, name) != name:
            if model_id in map(ModelId.parse, given):
                continue
            expected = f"one family for {model_id.short}; say which, as in {model_id.short}={name}"
            actual = f"{matched[model_id]} and {name}"
            raise InvalidInput(what="families", expected=expected, actual=actual)
    if not matched:
        reason = f"none of its families ({', '.join(sorted(found))}) has an embedder's name"
        raise StoreUnavailable(path=path, reason=f"{reason}; say which are, as in E1=name")
    return dict(sorted(matched.items()))


def _named(name):
    number = name.removeprefix(PREFIX)
    try:
        is_numbered = number != name and number.isdecimal()
        return ModelId.parse(int(number) if is_numbered else name)
    except InvalidInput:
        return None
