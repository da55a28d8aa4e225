"""Has the threads that write to a store take turns."""

from cgcython.errors import StoreUnavailable
from cgcython.locks import ForkSafeLock
from cgcython.store.keepers.rocksdb import Database


class Turn:
    """Lets one thread at a time write to a database; a context manager.

    Raises StoreUnavailable once the database was given back, also while a thread waited.
    """

    def __init__(self, files: Database) -> None:
        self._files, self._lock = files, ForkSafeLock()

    def __enter__(self) -> None:
        self._lock.__enter__()
        try:
            self._files.require_open()
        except StoreUnavailable:
            self._lock.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()
