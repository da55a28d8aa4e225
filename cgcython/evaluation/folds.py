"""Trained codes judged on rows that their codebook has not seen.

Row i of a corpus belongs to fold i % folds and is coded by a codebook trained on the rows of the
other folds, three times each beside rows of other texts where there are some: what a user does who
has a general sample and some of the own kind.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from cgcython.codecs.base import InputKind
from cgcython.codecs.measures import cosine_losses
from cgcython.codecs.training import MAX_SAMPLES, MIN_SAMPLES
from cgcython.errors import InvalidInput
from cgcython.evaluation.representations import Block, scan_time, timed
from cgcython.search.scan import Scan
from cgcython.search.vector_scan import VectorScan
from cgcython.types import Array, Float32Array, UInt8Array

COPIES = 3  # of the corpus's rows beside those of other texts


class Rows(Protocol):
    """Rows that need not be in memory: some are read by their numbers, as by an array."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Any: ...


class Coder(Protocol):
    """What was trained on some rows and codes others: ours of any kind, or another library's."""

    def encode(self, rows: Any, /, *, num_threads: int = 1) -> UInt8Array: ...
    def decode(self, codes: UInt8Array, /, *, num_threads: int = 1) -> Float32Array: ...


Train: TypeAlias = Callable[[Float32Array], Coder]
MakeScan: TypeAlias = Callable[[UInt8Array, Any], Any]  # of codes and their Coder


def decoded_scan(codes: UInt8Array, book: Coder) -> VectorScan:
    """Return a scan of what codes decode to, for kinds of codebook that have no scan."""
    return VectorScan(book.decode(codes))


class Folded:
    """Codes whose codebook depends on the row; `books` has one for each fold."""

    inputs = InputKind.DENSE

    def __init__(self, books: Sequence[Coder], make_scan: MakeScan = decoded_scan) -> None:
        self.books, self.make_scan = books, make_scan
        self.encode_us: float | None = None
        self.scan_ns: float | None = None

    def asked(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Return the queries, which the scans take as they are."""
        return queries

    def block(self, documents: Float32Array, first: int, num_threads: int = 1) -> Block:
        """Return the Block of rows [n, dim] that begin at row `first` of the corpus."""
        decoded, scans, num_bytes = np.empty_like(documents), [], 0
        for fold, book in enumerate(self.books):
            rows = slice((fold - first) % len(self.books), None, len(self.books))
            mine = np.ascontiguousarray(documents[rows])
            if self.encode_us is None:
                self.encode_us, _ = timed(book.encode, mine)
            codes = book.encode(mine, num_threads=num_threads)
            decoded[rows] = book.decode(codes, num_threads=num_threads)
            scans.append((rows, self.make_scan(codes, book)))
            num_bytes += codes.nbytes
        if self.scan_ns is None and isinstance(scan := scans[0][1], Scan) and scan.name:
            self.scan_ns = scan_time(scan, documents[0])
        return Block(scans, num_bytes, cosine_losses(documents, decoded))


def train_folds(
    column: Rows, others: Rows | None, train: Train, *, folds: int = 2, seed: int = 0
) -> list[Coder]:
    """Return what `train(rows)` makes for each fold of a column; `others` are rows of other texts.

    Raises KeyboardInterrupt where a training was interrupted: half of one is not judged.
    """
    found = []
    for fold in range(folds):
        book = train(samples(column, others, fold, folds, seed))
        if getattr(book, "metadata", {}).get("interrupted"):
            raise KeyboardInterrupt
        found.append(book)
    return found


def samples(
    column: Rows, others: Rows | None, fold: int, folds: int = 2, seed: int = 0
) -> Float32Array:
    """Return the rows that a fold's codebook is trained on; of very many some, by seed."""
    own = np.flatnonzero(np.arange(len(column)) % folds != fold)
    given = 0 if others is None else len(others)
    total = given + len(own) * (COPIES if given else 1)
    picked: Array = np.arange(total)
    if total > MAX_SAMPLES:
        picked = np.sort(np.random.default_rng(seed).permutation(total)[:MAX_SAMPLES])
    mine = np.asarray(column[own[(picked[picked >= given] - given) % len(own)]], np.float32)
    if others is None or not given:
        return mine
    return np.concatenate([np.asarray(others[picked[picked < given]], np.float32), mine])


def require_enough(column: Rows, others: Rows | None, folds: int) -> None:
    """Raise InvalidInput, before any work, where a fold leaves too few rows to train on."""
    own = len(column) - -(-len(column) // folds)
    count = own + (0 if others is None else len(others))
    if own < 1 or count < MIN_SAMPLES:
        expected = f"{MIN_SAMPLES} or more besides a fold of {len(column)}, some of them its own"
        raise InvalidInput(what="rows to train on", expected=expected, actual=count)
