"""Says of sections whether the heads beside them list just these."""

from collections.abc import Sequence

from cgcython.checksums import RESIDUE, SIZE, crc32
from cgcython.errors import StorageCorruption
from cgcython.manifest import listed_crcs, listed_sections
from cgcython.store.keeper import Read


def are_own(heads: Sequence[Read | None], sections: Sequence[Read], number: int) -> list[bool]:
    """Return whether the head beside each section of an embedder lists just this section.

    True where the head cannot be read, and where the section cannot: that cannot be told.
    """
    return _all_own(heads, sections, number) or [
        _is_own(head, section, number) for head, section in zip(heads, sections)
    ]


def _is_own(head: Read | None, section: Read, number: int) -> bool:
    if head is None:
        return False
    if isinstance(head, StorageCorruption) or isinstance(section, StorageCorruption):
        return True
    return crc32(head) != RESIDUE or listed_sections(head).get(number) == section[-SIZE:]


def _all_own(heads: Sequence[Read | None], sections: Sequence[Read], number: int) -> list[bool]:
    """Return True for each where all are listed, in the same place of like heads, or no list."""
    try:
        crcs = b"".join([section[-SIZE:] for section in sections])  # type: ignore[index]  # below
        if None not in heads and listed_crcs(heads, number) == crcs:  # type: ignore[arg-type]  # below
            return [True] * len(sections)
    except (AttributeError, TypeError):  # one is none, or an error
        pass
    return []
