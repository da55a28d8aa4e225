"""What reading all of a store found."""

from dataclasses import dataclass, field

from cgcython.errors import StorageCorruption
from cgcython.store.ids import StoredId, id_of, spelled


@dataclass
class VerifyReport:
    """What a store holds, and what is wrong with it: `problems` lists reasons by record id.

    `others` lists those of what belongs to no record, by its name.
    """

    records: int = 0
    sections: int = 0
    stored_bytes: int = 0
    problems: dict[StoredId, list[str]] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.problems or self.others)

    @property
    def ids(self) -> list[StoredId]:
        """The records that something is wrong with."""
        return list(self.problems)

    @property
    def named(self) -> dict[str, list[str]]:
        """All reasons by name, those of records by their spelled ids."""
        return {**{spelled(one): some for one, some in self.problems.items()}, **self.others}

    def add(self, key: bytes | str, reason: str) -> None:
        """Note what is wrong with the record of a key, or with a part of that name."""
        if isinstance(key, bytes):
            self.problems.setdefault(id_of(key), []).append(reason)
        else:
            self.others.setdefault(key, []).append(reason)

    def require_ok(self, place: str) -> None:
        """Raise StorageCorruption, naming the records, unless nothing is wrong."""
        if self.ok:
            return
        found, ids = [*self.named.items()], self.ids
        named = "; ".join(f"{one}: {', '.join(reasons)}" for one, reasons in found[:3])
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        what = f"{len(ids)} records " if ids else ""
        raise StorageCorruption(where=f"store {place}", reason=f"{what}({named}{more})", ids=ids)
