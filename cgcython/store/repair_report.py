"""What a repair tells."""

from dataclasses import dataclass, field
from pathlib import Path

from cgcython.store.ids import StoredId


@dataclass
class RepairReport:
    """What was kept and what was not: `lost` and `partial` list reasons by record id.

    `losses` are those that no record can be named for. `path` is the repaired store and `damaged`
    where the damaged one lies now; None where nothing was written.
    """

    records: int = 0
    lost: dict[StoredId, list[str]] = field(default_factory=dict)
    partial: dict[StoredId, list[str]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)
    path: Path | None = None
    damaged: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was lost."""
        return not (self.lost or self.partial or self.losses)
