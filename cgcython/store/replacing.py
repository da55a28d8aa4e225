"""The heads of records that are written: new ones, and those in the place of others."""

from collections.abc import Mapping
from typing import Any

from cgcython.errors import StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.manifest import Manifest
from cgcython.store import trash


def new_head(
    quantized: QuantizedFingerprint, metadata: Mapping[str, Any] | None, moment: int | None
) -> bytes:
    """Return the framed manifest of a new record."""
    if moment is None and metadata is None:
        return quantized.manifest
    return quantized.head.with_info(moment, moment, metadata).to_bytes()


def replaced_head(
    quantized: QuantizedFingerprint,
    before: Manifest | StorageCorruption,
    metadata: Mapping[str, Any] | None,
    moment: int | None,
) -> bytes:
    """Return the framed manifest of a record that comes in the place of another."""
    if isinstance(before, StorageCorruption):
        return new_head(quantized, metadata, moment)
    head = quantized.head
    head = head._replace(created=before.created or head.created, text=head.text or before.text)
    # Each replacement has a time of its own: a reader in between sees that there was one.
    return head.with_info(updated=trash.microseconds(moment), metadata=metadata).to_bytes()
