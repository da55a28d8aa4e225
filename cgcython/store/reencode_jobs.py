"""Moves the records of a store on servers to another codebook, a part of the keys per task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from cgcython.base import EmbedderId, EmbedderName
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import QuantizationError, StoreUnavailable
from cgcython.runners import Run
from cgcython.store.keeper import Stripe
from cgcython.store.moved import Moved, Reencoded, in_passes
from cgcython.store.places import name_of_place, require_servers
from cgcython.store.records import RecordStore
from cgcython.store.writing import BATCH
from cgcython.types import Progress


@dataclass(frozen=True)
class ReencodeJob:
    """What a worker needs to move a part, as plain values; no text of it shows the place.

    `codebook_id` is that of a codebook which the store keeps.
    """

    place: str = field(repr=False)
    embedder: EmbedderId
    codebook_id: int
    batch_size: int = BATCH


def reencode_part(job: ReencodeJob, part: Stripe) -> Moved:
    """Move the records of a part of the keys; one that another worker moved stays as it is."""
    with RecordStore.open(job.place, create=False) as store:
        return store.move_part(job.embedder, job.codebook_id, part, job.batch_size)


def reencode_by(
    run: Run,
    place: str,
    model_id: EmbedderName,
    codebook: Codebook,
    *,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> Reencoded:
    """Move the records of an embedder by tasks, with the result of `RecordStore.reencode`.

    `run(function, parts)` yields (part, result or error) of each part as it ends. Raises UsageError
    for a folder, which one process at a time writes.
    """
    require_servers(place, "leave out --scheduler")
    with RecordStore.open(place, create=False) as store:
        wanted, size = store.begin_reencode(model_id, codebook, batch_size)
        job = ReencodeJob(place, wanted, codebook.codebook_id, size)

        def one_pass() -> Iterator[Moved]:
            for _, result in run(partial(reencode_part, job), store.parts()):
                yield _moved(result, place)
                if progress is not None and isinstance(result, Moved):
                    progress(result.records)

        return in_passes(one_pass, wanted.short, store.place)


def _moved(result: Moved | QuantizationError, place: str) -> Moved:
    """Return what came of a part, or raise its error, which for the store tells how to go on."""
    if isinstance(result, Moved):
        return result
    if isinstance(result, StoreUnavailable):
        where = name_of_place(place)
        result.add_note(f"(what {where} acknowledged stays; the same command again goes on)")
    raise result
