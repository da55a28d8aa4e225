"""Which records of a store changed since a moment, for as long as its keeper remembers."""

from cgcython.base import EmbedderName, Profile
from cgcython.checks import require_whole
from cgcython.store.keeper import ReadKeeper

_LAST = 2**64 - 1


class Journal:
    """Says which records changed since a position.

    Whoever keeps something beside the store (the columns of a search, an index) notes the position
    it has seen, and asks later what changed.
    """

    def __init__(self, keeper: ReadKeeper, profile: Profile) -> None:
        self._keeper, self._profile = keeper, profile

    def use_profile(self, profile: Profile) -> None:
        """Find the names of embedders in another profile from now on; raises InvalidInput."""
        self._profile = Profile.named(profile)

    def position(self) -> int:
        """Return the position of the last write: a number that only grows.

        It is 0 where what changed is not known, until a process that writes begins anew.
        """
        self._keeper.require_open()
        return self._keeper.position()

    def changes_since(
        self, position: int, model_id: EmbedderName | None = None
    ) -> list[bytes] | None:
        """Return the sorted keys that changed after a position, of one embedder when given.

        It may name others, and leaves none out. Returns None when that is not known: what changed
        is not remembered that far back, or the position is that of another copy of the store.
        """
        position = require_whole(position, "position", most=_LAST)
        number = None if model_id is None else int(self._profile.embedder(model_id))
        return self._keeper.changes_since(position, number)
