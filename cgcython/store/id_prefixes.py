"""Which keys belong to the ids that begin with some text or bytes, and where they lie."""

from typing import NamedTuple
from uuid import UUID

from cgcython.errors import InvalidInput
from cgcython.store.ids import MOST_TEXT_BYTES, TEXT, TEXT_OF_15, UUID_BYTES, bytes_of
from cgcython.types import BytesLike

_ZERO = str(UUID(int=0))


class IdPrefix(NamedTuple):
    """The beginning of ids: the digits of UUIDs, the bytes of texts; None for none of a kind."""

    digits: str | None
    text: bytes | None

    @classmethod
    def of(cls, prefix: BytesLike | str) -> "IdPrefix | None":
        """Return the prefix that bytes of UUIDs or text mean, None for one of all ids.

        Raises InvalidInput.

        >>> IdPrefix.of("00000000-"), IdPrefix.of(b"\\xff")
        (IdPrefix(digits='00000000', text=b'00000000-'), IdPrefix(digits='ff', text=None))
        """
        if isinstance(prefix, str):
            return cls(_digits(prefix.lower()), _encoded(prefix)) if prefix else None
        data = bytes_of(prefix)
        if data is None or len(data) > UUID_BYTES:
            raise _refused(prefix)
        return cls(data.hex(), None) if data else None

    def starts(self) -> list[bytes]:
        """Return how the keys may begin, in order, none with another one of them."""
        found = [] if self.digits is None else [bytes.fromhex(self.digits[: len(self.digits) & ~1])]
        if self.text is not None:
            found += [TEXT + self.text, TEXT_OF_15 + self.text[: UUID_BYTES - 1]]
        return [one for one in sorted(found) if not any(map(one.startswith, set(found) - {one}))]

    def matches(self, key: bytes) -> bool:
        """Return whether the id of a key begins so."""
        if len(key) == UUID_BYTES:
            return self.digits is not None and key.hex().startswith(self.digits)
        if self.text is None:
            return False
        tag, text = key[:1], key[1:]
        if tag == TEXT_OF_15:
            return text[:-1].startswith(self.text)
        return tag == TEXT and text.startswith(self.text)


def _digits(text: str) -> str | None:
    """Return the hexadecimal digits of UUIDs whose text begins so, None where none does."""
    try:
        # Completed to a UUID, a beginning of one still begins so.
        whole = text + _ZERO[len(text) :]
        return text.replace("-", "") if str(UUID(whole)) == whole else None
    except ValueError:
        return None


def _encoded(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise _refused(text) from None
    if len(data) > MOST_TEXT_BYTES:
        raise _refused(text)
    return data


def _refused(prefix: object) -> InvalidInput:
    expected = f"how text ids or a UUID begin: text of up to {MOST_TEXT_BYTES} bytes, or 16 bytes"
    return InvalidInput(what="prefix", expected=expected, actual=f"{prefix!a:.60}")
