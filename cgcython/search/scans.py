"""Finds the scan class of encoded embeddings among the registered ones, our own included."""

from collections.abc import Sequence

from cgcython.errors import InvalidInput
from cgcython.records import QuantizedEmbedding

# Defining a scan class registers it: these modules are imported for their classes.
from cgcython.search import binary_scan as binary_scan
from cgcython.search import float8_scans as float8_scans
from cgcython.search import pq_scan as pq_scan
from cgcython.search import rq_scan as rq_scan
from cgcython.search import scalar_scan as scalar_scan
from cgcython.search import sparse_scans as sparse_scans
from cgcython.search import token_scans as token_scans
from cgcython.search.scan import FindCodebook, Scan, ScanKey
from cgcython.search.scan_registry import registered


def scan_class(quantized: QuantizedEmbedding) -> type[Scan]:
    """Return the class that holds an encoded embedding, of several the last one defined.

    Raises InvalidInput where there is none.
    """
    for kind in reversed(registered()):
        if kind.method is quantized.method and kind.holds(quantized):
            return kind
    known = ", ".join(sorted({str(kind.method) for kind in registered()}))
    layout = getattr(quantized.metadata, "layout", None)
    raise InvalidInput(
        what="quantized",
        expected=f"a method and layout that a Scan declares ({known}); import its package",
        actual=f"{quantized.method} {layout or ''}".strip(),
    )


def scan_named(name: str) -> type[Scan] | None:
    """Return the class that column files know by a name, or None."""
    return next((kind for kind in registered() if kind.name == name), None)


def scan_key(quantized: QuantizedEmbedding) -> ScanKey:
    """Return what embeddings must share with this one to be in one scan with it."""
    kind = scan_class(quantized)
    return ScanKey(kind, kind.shared_by(quantized))


def make_scan(quantized: Sequence[QuantizedEmbedding], find_codebook: FindCodebook) -> Scan:
    """Return the scan of one or more embeddings that share their `scan_key`.

    Raises InvalidQuantizedData when one cannot be decoded, and CodebookMissing.
    """
    return scan_class(quantized[0]).of(quantized, find_codebook)


def join(scans: Sequence[Scan]) -> Scan:
    """Return the scan of the rows of one or more that share their key."""
    return scans[0] if len(scans) == 1 else type(scans[0]).joined(scans)
