"""Names of records: UUIDs, kept as their 16 bytes."""

from uuid import UUID

from cgcython.errors import InvalidInput


def as_key(record_id):
    """Return the 16 bytes of a UUID, of 16 bytes or of canonical text.

    >>> as_key("00000000-0000-0000-0000-0000000000ff").hex()
    '000000000000000000000000000000ff'
    """
    if isinstance(record_id, UUID):
        return record_id.bytes
    if isinstance(record_id, (bytes, bytearray, memoryview)) and len(record_id) == 16:
        return bytes(record_id)
    try:
        parsed = UUID(record_id) if isinstance(record_id, str) else None
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != record_id.lower():
        raise InvalidInput(
            what="id", expected="a UUID, 16 bytes or a UUID's text", actual=repr(record_id)
        )
    return parsed.bytes
