"""Says which record an error is about."""

from collections.abc import Iterator
from contextlib import contextmanager

from cgcython.errors import StorageCorruption
from cgcython.store.ids import id_of


@contextmanager
def naming(key: bytes) -> Iterator[None]:
    """Note in a StorageCorruption raised inside which record it is about."""
    try:
        yield
    except StorageCorruption as error:
        error.ids = (id_of(key),)
        raise
