"""How far a copy of a store came: a note in the copy, which is no store until the note is gone."""

from __future__ import annotations

from typing import NamedTuple, Self

from cgcython import strict_json
from cgcython.errors import StorageCorruption, StoreUnavailable
from cgcython.store.keeper import ReadKeeper

COPYING = b"copy/state"


class CopyState(NamedTuple):
    """What is copied is all of the stripes before `stripe`, and of that one the keys to `after`.

    `position` is that of the source when the copy was begun: what changed later is copied again.
    """

    source: str
    position: int
    stripe: int = 0
    after: str = ""  # in hexadecimal digits
    records: int = 0

    def packed(self) -> bytes:
        """Return the note."""
        return strict_json.to_text(self._asdict()).encode()

    @classmethod
    def parsed(cls, value: bytes) -> Self:
        """Return the state of a note; raises StorageCorruption."""
        try:
            found = cls(**strict_json.parse_object(value))
            bytes.fromhex(found.after)
            return found
        except (ValueError, TypeError) as error:
            raise StorageCorruption(where="state of a copy", reason=str(error)) from None


def read_state(keeper: ReadKeeper) -> CopyState | None:
    """Return how far a copy came, None for what is none that was interrupted."""
    return keeper.note(COPYING, CopyState.parsed, f"state of the copy {keeper.place}")


def require_whole_copy(keeper: ReadKeeper) -> None:
    """Raise StoreUnavailable for a copy that was interrupted and not gone on with."""
    state = read_state(keeper)
    if state is not None:
        reason = (
            f"it is an unfinished copy of {state.source}; go on with "
            f"`cgcython store copy {state.source} {keeper.place}`"
        )
        raise StoreUnavailable(path=keeper.place, reason=reason)
