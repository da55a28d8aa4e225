"""Names of records: UUIDs, kept as their 16 bytes."""

from typing import TypeAlias
from uuid import UUID

from cgcython.errors import InvalidInput
from cgcython.types import BytesLike

RecordId: TypeAlias = UUID | BytesLike | str

_ZERO = str(UUID(int=0))


def as_key(record_id: RecordId) -> bytes:
    """Return the 16 bytes of a UUID, of 16 bytes or of canonical text.

    >>> as_key("00000000-0000-0000-0000-0000000000ff").hex()
    '000000000000000000000000000000ff'
    """
    if isinstance(record_id, UUID):
        return record_id.bytes
    data = _bytes_of(record_id)
    if data is not None and len(data) == 16:
        return data
    try:
        parsed = UUID(record_id) if isinstance(record_id, str) else None
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != str(record_id).lower():
        raise InvalidInput(
            what="id", expected="a UUID, 16 bytes or a UUID's text", actual=repr(record_id)
        )
    return parsed.bytes


def name_of(key: bytes) -> str:
    """Return the canonical text of an id's 16 bytes, faster than by a UUID.

    >>> name_of(bytes(range(16)))
    '00010203-0405-0607-0809-0a0b0c0d0e0f'
    """
    digits = key.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def prefix_digits(prefix: BytesLike | str) -> str:
    """Return the hexadecimal digits with which ids begin that begin with bytes or text.

    >>> prefix_digits("00000000-0000-4"), prefix_digits(b"\\xff")
    ('0000000000004', 'ff')
    """
    data = _bytes_of(prefix)
    if data is not None and len(data) <= 16:
        return data.hex()
    text = prefix.lower() if isinstance(prefix, str) else None
    # Completed to a UUID, a beginning of one still begins so.
    if text is None or not _is_uuid(text + _ZERO[len(text) :]):
        raise InvalidInput(
            what="prefix", expected="up to 16 bytes, or how a UUID's text begins", actual=prefix
        )
    return text.replace("-", "")


def _bytes_of(value: object) -> bytes | None:
    """Return a row of bytes; None for anything else, and for a view of numbers that are wider."""
    if isinstance(value, memoryview):
        try:
            return bytes(value) if value.ndim == value.itemsize == 1 else None
        except ValueError:  # it was released
            return None
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
