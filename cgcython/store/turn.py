"""Has the threads that write to a store take turns."""

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keeper import Keeper


class Turn:
    """Lets one thread at a time write to a store; a context manager.

    Raises StoreUnavailable once the store was closed, also while a thread waited.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._lock = keeper, ForkSafeLock()

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._keeper.require_open()
        except StoreUnavailable:
            self._lock.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()
