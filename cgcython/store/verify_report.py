"""What reading all of a store found."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from cgcython.errors import StorageCorruption


@dataclass
class VerifyReport:
    """What a store holds, and what is wrong with it: `problems` lists reasons by record id.

    What belongs to no record is listed under its name.
    """

    records: int = 0
    sections: int = 0
    stored_bytes: int = 0
    problems: dict[UUID | str, list[str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def ids(self) -> list[UUID]:
        """The records that something is wrong with."""
        return [one for one in self.problems if isinstance(one, UUID)]

    def add(self, key: bytes | str, reason: str) -> None:
        """Note what is wrong with the record of a key, or with a part of that name."""
        one = UUID(bytes=key) if isinstance(key, bytes) else key
        self.problems.setdefault(one, []).append(reason)

    def require_ok(self, path: Path) -> None:
        """Raise StorageCorruption, naming the records, unless nothing is wrong."""
        if self.ok:
            return
        names, ids = list(self.problems), self.ids
        named = "; ".join(f"{one}: {', '.join(self.problems[one])}" for one in names[:3])
        more = f"; and {len(names) - 3} more" if len(names) > 3 else ""
        what = f"{len(ids)} records " if ids else ""
        raise StorageCorruption(where=f"store {path}", reason=f"{what}({named}{more})", ids=ids)
