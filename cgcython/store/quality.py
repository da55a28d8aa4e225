"""Samples of what encoding into a store loses, and of how its queries fare, kept over time.

Each note under QUALITY is one stretch of time of one process: what the records
lost that were written, what queries lost by the same codecs, and how similar the best hits were.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cgcython import strict_json
from cgcython.base import EmbedderId
from cgcython.embedders.losses import LossTotals, LossWatch, loss_line
from cgcython.errors import StorageCorruption
from cgcython.locks import ForkSafeLock
from cgcython.router import QuantizationRouter
from cgcython.store.keeper import Keeper, ReadKeeper

QUALITY = b"quality/"  # then microseconds since 1970 as u64 big-endian
FLUSH_SECONDS = 600  # of samples are lost at most where a process is killed
MOST_ROWS = 1000  # the oldest are deleted
SIMILARITY_EVERY = 16  # searches
RECORDS, QUERIES = "records", "queries"
_LOGGER = logging.getLogger(__name__)


class QualitySample(NamedTuple):
    """One embedder during one stretch of time; losses are fractions.

    `kind` is `records` or `queries`. `trained_loss` is what training measured of the codebook
    that encoded, `similarity` the mean of the best hits of sampled searches; None where unknown.
    """

    until: datetime
    kind: str
    embedder: str
    losses: LossTotals
    codebook_id: int | None = None
    trained_loss: float | None = None
    similarity: float | None = None


class QualityLog:
    """Collects what routers and searches of one process tell, and writes it to a store."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._watch, self._lock = keeper, LossWatch(), ForkSafeLock()
        self._losses: dict[tuple[str, EmbedderId], LossTotals] = {}
        self._codebooks: dict[EmbedderId, tuple[int, float | None]] = {}
        self._searches = 0
        self._similarities: dict[EmbedderId, list[float]] = {}
        self._due = time.monotonic() + FLUSH_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether samples wait that are old enough to be written."""
        return bool(self._losses) and time.monotonic() >= self._due

    def note(self, router: QuantizationRouter, kind: str = RECORDS) -> None:
        """Collect what a router encoded since the last call; that of records is logged."""
        with self._lock:
            losses = self._watch.since(router)
            for one, totals in losses.items():
                before = self._losses.get((kind, one), LossTotals())
                self._losses[kind, one] = before.plus(totals)
                codebook = getattr(router.codec(one), "codebook", None)
                if codebook is not None:
                    trained = codebook.metadata.get("held_out_loss")
                    self._codebooks[one] = codebook.codebook_id, trained
        if losses and kind == RECORDS and _LOGGER.isEnabledFor(logging.INFO):
            records = max(totals.encoded for totals in losses.values())
            _LOGGER.info("%s: %s", self._keeper.place, loss_line(f"{records} records", losses))

    def searched(self, scores: Mapping[EmbedderId, float]) -> None:
        """Collect the scores of the best hit of some searches."""
        with self._lock:
            self._searches += 1
            if self._searches % SIMILARITY_EVERY == 1:
                for one, score in scores.items():
                    self._similarities.setdefault(one, []).append(score)

    def flush(self) -> None:
        """Write what was collected; the caller has the turn to write."""
        with self._lock:
            sampled = {key: one for key, one in self._losses.items() if one.samples}
            row = {kind: self._told(sampled, kind) for kind in (RECORDS, QUERIES)}
            self._losses, self._similarities = {}, {}
            self._due = time.monotonic() + FLUSH_SECONDS
        if not sampled:
            return
        key = QUALITY + (time.time_ns() // 1000).to_bytes(8, "big")
        names = [known for known, _ in self._keeper.notes(QUALITY)]
        gone = dict.fromkeys(names[: max(0, len(names) + 1 - MOST_ROWS)])
        self._keeper.put_notes({**gone, key: strict_json.to_text(row).encode()})

    def _told(self, sampled: Mapping[tuple[str, EmbedderId], LossTotals], kind: str) -> Any:
        return {
            one.short: self._row(one, kind, totals)
            for (of, one), totals in sampled.items()
            if of == kind
        }

    def _row(self, model_id: EmbedderId, kind: str, totals: LossTotals) -> dict[str, Any]:
        codebook_id, trained = self._codebooks.get(model_id, (None, None))
        scores = self._similarities.get(model_id) if kind == QUERIES else None
        similarity = sum(scores) / len(scores) if scores else None
        about = {"codebook_id": codebook_id, "trained_loss": trained, "similarity": similarity}
        return {**totals._asdict(), **about}


def quality_samples(keeper: ReadKeeper) -> list[QualitySample]:
    """Return the samples of a store, oldest first; what is damaged is left out."""
    found: list[QualitySample] = []
    with suppress(StorageCorruption):
        for key, value in keeper.notes(QUALITY):
            try:
                found += _parsed(key, value)
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
                _LOGGER.warning("%s: unreadable samples %s: %s", keeper.place, key.hex(), error)
    return found


def _parsed(key: bytes, value: bytes) -> Iterator[QualitySample]:
    moment = datetime.fromtimestamp(int.from_bytes(key[len(QUALITY) :], "big") / 1e6, UTC)
    row = strict_json.parse_object(value)
    for kind in (RECORDS, QUERIES):
        for name, told in row[kind].items():
            numbers = [told.pop(field) for field in LossTotals._fields]
            losses = LossTotals(*map(int, numbers[:2]), *map(float, numbers[2:]))
            yield QualitySample(moment, kind, name, losses, **told)
