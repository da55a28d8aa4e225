"""Has the threads that write to a store take turns."""

import threading

from cgcython.store.keepers.rocksdb import Database


class Turn:
    """Lets one thread at a time write to a database; a context manager.

    Raises StoreUnavailable once the database was given back. It asks before it waits, because in
    the child of a fork the thread that had the turn is gone, and again when it has the turn.
    """

    def __init__(self, files: Database) -> None:
        self._files, self._lock = files, threading.Lock()

    def __enter__(self) -> None:
        self._files.require_open()
        self._lock.acquire()
        if not self._files.is_open:
            self._lock.release()
            self._files.require_open()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
