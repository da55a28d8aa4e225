"""What a caller gives to be stored, taken apart."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, TypeAlias

from cgcython.checks import require_instance
from cgcython.errors import InvalidInput
from cgcython.fingerprint import Fingerprint, QuantizedFingerprint
from cgcython.store.ids import RecordId, as_key

Embeddings: TypeAlias = Mapping[Any, Any]  # a Fingerprint, or values by the names of embedders
Item: TypeAlias = (
    tuple[RecordId, Embeddings] | tuple[RecordId, Embeddings, Mapping[str, Any] | None]
)


def pair_of(item: tuple[RecordId, QuantizedFingerprint]) -> tuple[bytes, QuantizedFingerprint]:
    """Return key and record of an item; raises InvalidInput unless it has them."""
    try:
        record_id, quantized = item
    except (TypeError, ValueError):
        expected, actual = "(id, QuantizedFingerprint)", f"{item!r:.60}"
        raise InvalidInput(what="item", expected=expected, actual=actual) from None
    return as_key(record_id), require_instance(quantized, QuantizedFingerprint, "record")


def parts_of(item: Item) -> tuple[bytes, Embeddings, Mapping[str, Any] | None]:
    """Return key, fingerprint and metadata of an item; raises InvalidInput unless it has them."""
    try:
        record_id, fingerprint, metadata = (*item, None)[:3] if len(item) < 4 else item
    except (TypeError, ValueError):
        expected, actual = "(id, fingerprint) or (id, fingerprint, metadata)", f"{item!r:.60}"
        raise InvalidInput(what="item", expected=expected, actual=actual) from None
    return as_key(record_id), fingerprint, metadata


def own_parts(item: Item) -> tuple[bytes, Embeddings, Mapping[str, Any] | None]:
    """Return copies of the parts: what yields items may refill them for the next one."""
    key, fingerprint, metadata = parts_of(item)
    return key, Fingerprint.of(fingerprint).copied(), deepcopy(metadata)
