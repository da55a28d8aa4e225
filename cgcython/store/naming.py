"""Says which records an error is about."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cgcython.errors import StorageCorruption
from cgcython.store.ids import id_of, name_of


@contextmanager
def naming(key: bytes) -> Iterator[None]:
    """Note in a StorageCorruption raised inside which record it is about."""
    try:
        yield
    except StorageCorruption as error:
        error.ids = (id_of(key),)
        raise


def require_sound(what: str, damaged: Sequence[bytes], place: str) -> None:
    """Raise StorageCorruption that names the records of some keys, where there are any."""
    if damaged:
        raise StorageCorruption(
            where=f"{what} of {len(damaged)} records in store {place}",
            reason=f"the first is {name_of(damaged[0])}",
            ids=map(id_of, damaged),
        )
