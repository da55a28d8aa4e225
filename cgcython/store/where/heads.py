"""Reads the metadata of a record out of its head, and nothing else of it."""

from cgcython.checksums import SIZE, ends_in_own_checksum
from cgcython.manifest import MAGIC, NEWEST

_VERSION, _LENGTH = len(MAGIC), slice(24, 28)  # where version 2 and later have the text's length


def metadata_text(head: bytes) -> bytes | None:
    """Return the metadata of a whole manifest as JSON, no bytes for none.

    None of what is no manifest that this release reads.

    >>> from cgcython.manifest import Manifest
    >>> metadata_text(Manifest.now({}).with_info(metadata={"tags": [1]}).to_bytes())
    b'{"tags":[1]}'
    """
    if not (head.startswith(MAGIC) and ends_in_own_checksum(head)):
        return None
    if not 1 <= head[_VERSION] <= NEWEST:
        return None
    length = int.from_bytes(head[_LENGTH], "little") if head[_VERSION] > 1 else 0
    return head[len(head) - SIZE - length : len(head) - SIZE]
