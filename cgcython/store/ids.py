"""Ids of records, and their keys: the byte strings under which a database keeps them.

| id | key |
|---|---|
| a UUID | its 16 bytes |
| a negative integer | 0x01, then the integer + 2^63 as u64 big-endian |
| another integer | 0x02, then the integer as u64 big-endian |
| text | 0x03, then its UTF-8 |
| text of 15 bytes | 0x04, then its UTF-8, then 0x00 |

So that only the keys of UUIDs have 16 bytes, and no two ids have one key.
"""

import operator
from collections.abc import Iterable
from typing import TypeAlias
from uuid import UUID, SafeUUID

from cgcython.base import FIRST_OWN
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.types import BytesLike

RecordId: TypeAlias = UUID | BytesLike | str | int
StoredId: TypeAlias = UUID | str | int  # an id as it comes back

UUID_BYTES, MOST_TEXT_BYTES, MOST_KEY_BYTES = 16, 512, 513
LEAST, MOST = -(2**63), 2**64 - 1
NEGATIVE, NUMBER, TEXT, TEXT_OF_15 = b"\1", b"\2", b"\3", b"\4"
_ALLOWED = (
    f"a UUID, its 16 bytes, text of 1 to {MOST_TEXT_BYTES} bytes in UTF-8, "
    "or an integer from -2**63 to 2**64 - 1"
)
# What UUID(bytes=...) does, without looking which of its arguments was given: a third of its time.
_new_uuid, _UNKNOWN = UUID.__new__, SafeUUID.unknown
_set_int, _set_safety = (vars(UUID)[slot].__set__ for slot in ("int", "is_safe"))
_TEXT = "text:"  # says on the command line that what follows is text, whatever it looks like


def as_key(record_id: RecordId) -> bytes:
    """Return the key of an id; a UUID, its bytes and its canonical text have the same one.

    >>> as_key("00000000-0000-0000-0000-0000000000ff").hex()
    '000000000000000000000000000000ff'
    >>> as_key("doc-5"), as_key(5).hex()
    (b'\\x03doc-5', '020000000000000005')
    """
    if type(record_id) is bytes and len(record_id) == UUID_BYTES:
        return record_id
    if isinstance(record_id, UUID):
        return record_id.bytes
    if isinstance(record_id, str):
        return _key_of_text(record_id)
    data = bytes_of(record_id)
    if data is None:
        return _key_of_integer(record_id)
    if len(data) != UUID_BYTES:
        raise InvalidInput(what="id", expected=_ALLOWED, actual=f"{len(data)} bytes")
    return data


def id_of(key: bytes) -> StoredId:
    """Return the id of a key. Raises StorageCorruption for what is none.

    >>> id_of(as_key("doc-5")), id_of(as_key(-5)), id_of(bytes(15) + b"5")
    ('doc-5', -5, UUID('00000000-0000-0000-0000-000000000035'))
    """
    if len(key) == UUID_BYTES:
        found = _new_uuid(UUID)
        _set_int(found, int.from_bytes(key, "big"))
        _set_safety(found, _UNKNOWN)
        return found
    tag = key[:1]
    try:
        if tag == TEXT and 1 < len(key) <= MOST_KEY_BYTES:
            return key[1:].decode()
        if tag == TEXT_OF_15 and len(key) == UUID_BYTES + 1:
            return key[1:-1].decode()
    except UnicodeDecodeError:
        tag = b""
    if tag in (NEGATIVE, NUMBER) and len(key) == 9:
        return int.from_bytes(key[1:], "big") + (LEAST if tag == NEGATIVE else 0)
    raise StorageCorruption(where=f"key 0x{key.hex()}", reason="no id has such a key")


def is_key(key: bytes) -> bool:
    """Return whether a byte string is the key of an id.

    >>> is_key(as_key(5)), is_key(b"format")
    (True, False)
    """
    try:
        return as_key(id_of(key)) == key
    except (StorageCorruption, InvalidInput):
        return False


def are_free(keys: Iterable[bytes], numbers: Iterable[int]) -> bool:
    """Return whether there is a key that is no UUID's, or an embedder of a user's own.

    The first formats of stores and shards have neither.

    >>> are_free([bytes(16)], [0, 12]), are_free([b"\\x03a"], [])
    (False, True)
    """
    if any(len(key) != UUID_BYTES for key in keys):
        return True
    return any(int(number) >= FIRST_OWN for number in numbers)


def name_of(key: bytes) -> str:
    """Return the name of a key's id for a message; of UUIDs faster than by a UUID.

    >>> name_of(bytes(range(16))), name_of(as_key(5)), name_of(as_key("5"))
    ('00010203-0405-0607-0809-0a0b0c0d0e0f', '5', 'text:5')
    """
    if len(key) == UUID_BYTES:
        digits = key.hex()
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    try:
        return spelled(id_of(key))
    except StorageCorruption:
        return f"key 0x{key.hex()}"


def spelled(record_id: StoredId) -> str:
    """Return an id as one line of text, which `parse_id` takes back where it is printable.

    >>> spelled(5), spelled("doc-5"), spelled("5"), spelled("two\\nlines")
    ('5', 'doc-5', 'text:5', "'two\\\\nlines'")
    """
    if not isinstance(record_id, str):
        return str(record_id)
    if not record_id.isprintable():
        return repr(record_id)
    is_plain = parse_id(record_id) == record_id
    return record_id if is_plain else _TEXT + record_id


def parse_id(text: str) -> StoredId:
    """Return the id that a text spells: a UUID, an integer in decimal digits, or text.

    Behind `text:` it is text whatever it looks like. Raises InvalidInput.

    >>> parse_id("5"), parse_id("text:5"), parse_id("doc-5"), parse_id("-05")
    (5, '5', 'doc-5', '-05')
    """
    if text.startswith(_TEXT):
        return id_of(as_key(text.removeprefix(_TEXT)))
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= 20 and str(int(text)) == text:
        return id_of(as_key(int(text)))
    return id_of(as_key(text))


def _key_of_text(text: str) -> bytes:
    if len(text) == 36 and text[8] == "-":
        try:
            parsed = UUID(text)
        except ValueError:
            pass
        else:
            if str(parsed) == text.lower():
                return parsed.bytes
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(what="id", expected=_ALLOWED, actual=ascii(text)) from None
    if not 0 < len(data) <= MOST_TEXT_BYTES:
        raise InvalidInput(what="id", expected=_ALLOWED, actual=f"{len(data)} bytes of text")
    return TEXT + data if len(data) != UUID_BYTES - 1 else TEXT_OF_15 + data + b"\0"


def _key_of_integer(value: object) -> bytes:
    try:
        if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's, where it converts
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]  # raises for what is no integer
    except TypeError:
        raise InvalidInput(what="id", expected=_ALLOWED, actual=f"{value!r:.60}") from None
    if not LEAST <= number <= MOST:
        raise InvalidInput(what="id", expected=_ALLOWED, actual=number)
    if number < 0:
        return NEGATIVE + (number - LEAST).to_bytes(8, "big")
    return NUMBER + number.to_bytes(8, "big")


def bytes_of(value: object) -> bytes | None:
    """Return a row of bytes; None for anything else, and for a view of numbers that are wider."""
    if isinstance(value, memoryview):
        try:
            return bytes(value) if value.ndim == value.itemsize == 1 else None
        except ValueError:  # it was released
            return None
    return bytes(value) if isinstance(value, (bytes, bytearray)) else None
