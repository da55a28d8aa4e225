"""Records that were deleted and can still be restored: whole, apart from those that are read."""

import struct
import time
from datetime import UTC, datetime, timedelta

from cgcython.errors import InvalidInput, StorageCorruption

_DELETED = struct.Struct("<Q")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def pack(record: bytes) -> bytes:
    """Return the value that keeps the bytes of a record deleted now."""
    return _DELETED.pack(microseconds()) + record


def unpack(value: bytes, where: str) -> tuple[int, bytes]:
    """Return (microseconds since 1970 when it was deleted, bytes of the record)."""
    if len(value) < _DELETED.size:
        reason = f"{len(value)} bytes are fewer than the {_DELETED.size} of a time"
        raise StorageCorruption(where=where, reason=reason)
    (deleted,) = _DELETED.unpack_from(value)
    return deleted, value[_DELETED.size :]


def microseconds(moment: datetime | int | None = None) -> int:
    """Return a moment, an aware datetime or already microseconds since 1970; by default now.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if moment is None:
        return time.time_ns() // 1000
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidInput(
                what="timestamp", expected="a datetime with a time zone", actual=moment
            )
        return (moment - _EPOCH) // _MICROSECOND
    return moment


def seconds_to_microseconds(duration: timedelta | float) -> int:
    """Return a duration, a timedelta or a number of seconds, in microseconds.

    >>> seconds_to_microseconds(1.5), seconds_to_microseconds(timedelta(days=1))
    (1500000, 86400000000)
    """
    if isinstance(duration, timedelta):
        return duration // _MICROSECOND
    if not isinstance(duration, (int, float)) or not 0 <= duration < 1e11:
        raise InvalidInput(
            what="older_than", expected="a timedelta or seconds, 0 or more", actual=duration
        )
    return int(duration * 1_000_000)
