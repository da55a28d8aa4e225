"""Records of many memories, framed from columns: sections and manifests of a block in one call."""

import time
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from cgcython.base import EmbedderId
from cgcython.checks import require_whole
from cgcython.checksums import SIZE
from cgcython.codecs.framing import sealed
from cgcython.embedders.blocks import Encoded, Part, encode_blocks, section_sizes
from cgcython.embedders.route import Route
from cgcython.errors import QuantizationError
from cgcython.fingerprint.embeddings import Fingerprint
from cgcython.fingerprint.record import DEFAULT_BUDGET_BYTES, Form, QuantizedFingerprint
from cgcython.manifest import ENTRY_BYTES, Manifest, size_of
from cgcython.router import QuantizationRouter
from cgcython.types import Int64Array, UInt32Array


def encode_all(
    fingerprints: Sequence[Fingerprint],
    router: QuantizationRouter,
    budget_bytes: int | None = DEFAULT_BUDGET_BYTES,
    num_threads: int = 1,
) -> list[QuantizedFingerprint]:
    """Return a list as `Fingerprint.encode` does for each, encoding embedder by embedder.

    The errors of a batch do not tell which fingerprint they are about.
    """
    parts = _parts_within(fingerprints, router, budget_bytes)
    records = encode_parts(parts, range(len(fingerprints)), num_threads)
    if budget_bytes is not None:
        for i, record in enumerate(records):
            if record.budgeted_bytes > budget_bytes:
                records[i] = fingerprints[i].encode(router, budget_bytes)
    return records


def encode_parts(
    parts: Sequence[Part[Any]], records: range, num_threads: int = 1
) -> list[QuantizedFingerprint]:
    """Return some of the records that parts make up, whatever their sizes."""
    return encode_blocks(parts, records, _records, num_threads)


def _parts_within(
    fingerprints: Sequence[Fingerprint], router: QuantizationRouter, budget_bytes: int | None
) -> list[Part[Any]]:
    """Return the parts of fingerprints, each at the first of `router.steps_within`."""
    parts = router._parts_of(fingerprints)
    if budget_bytes is None:
        return parts
    budget = require_whole(budget_bytes, "budget_bytes")
    heads = _head_sizes(fingerprints, parts)
    try:
        large = section_sizes(parts, len(heads)) + heads > budget
    except (QuantizationError, TypeError):
        return parts  # encoding says what is wrong
    if not large.any():
        return parts
    steps = [0] * len(heads)
    for i in np.flatnonzero(large).tolist():
        steps[i] = next(router.steps_within(fingerprints[i], budget))
    return router._parts_of(fingerprints, steps)


def _head_sizes(fingerprints: Sequence[Fingerprint], parts: Sequence[Part[Any]]) -> Int64Array:
    """Return the bytes of the manifest of each fingerprint."""
    if all(part.rows is None for part in parts):  # as many for all
        return np.full(len(fingerprints), size_of(len(parts)))
    return np.array([size_of(len(one)) for one in fingerprints], np.int64)


class _Column(NamedTuple):
    """The sections of one route, of the rows of a block that have one (None: of all)."""

    route: Route
    codebook_id: int | None
    sections: list[bytes]
    crcs: UInt32Array
    sizes: Int64Array
    rows: Int64Array | None

    def taken(self, places: Int64Array) -> "_Column":
        """Return the column of some of its sections."""
        sections = [self.sections[place] for place in places.tolist()]
        crcs, sizes = self.crcs[places], self.sizes[places]
        return self._replace(sections=sections, crcs=crcs, sizes=sizes, rows=None)


def _records(count: int, encoded: Sequence[Encoded]) -> list[QuantizedFingerprint]:
    """Return the records of the rows of a block."""
    columns = [_column(one) for one in encoded]
    if columns and all(one.rows is None for one in columns):
        return _alike(columns)
    made: list[Any] = [QuantizedFingerprint._framed({}, {})] * count
    for rows, some in _kinds(count, columns):
        for row, record in zip(rows.tolist(), _alike(some)):
            made[row] = record
    return made


def _column(one: Encoded) -> _Column:
    sections = one.route.codec.sections(one.batch, one.route.model_id)
    return _Column(one.route, one.batch.shared.get("codebook_id"), *sections, one.rows)


def _kinds(count: int, columns: Sequence[_Column]) -> Iterator[tuple[Int64Array, list[_Column]]]:
    """Yield the rows that have sections of the same columns, and these sections."""
    places = np.full((len(columns), count), -1)
    for place, one in zip(places, columns):
        place[slice(None) if one.rows is None else one.rows] = np.arange(len(one.sections))
    kinds: dict[bytes, list[int]] = {}
    for row, has in enumerate((places >= 0).T):
        kinds.setdefault(has.tobytes(), []).append(row)
    for has, listed in kinds.items():
        rows = np.array(listed)
        if any(has):
            yield rows, [one.taken(places[i][rows]) for i, one in enumerate(columns) if has[i]]


def _alike(columns: Sequence[_Column]) -> list[QuantizedFingerprint]:
    """Return records that have a section in each of some columns."""
    names = [one.route.model_id for one in columns]
    codecs = [(one.route.codec, one.codebook_id) for one in columns]
    forms = {
        name: Form(codec.method, codec.dim, codebook_id)
        for name, (codec, codebook_id) in zip(names, codecs)
    }
    moment = time.time_ns() // 1000
    manifests = _manifests(names, np.stack([one.crcs for one in columns], axis=1), moment)
    sizes = np.sum([one.sizes for one in columns], axis=0) + size_of(len(names))
    rows = map(dict, map(zip, repeat(names), zip(*[one.sections for one in columns])))
    shared = {"moment": moment, "forms": forms}
    return [
        QuantizedFingerprint._framed(
            sections, {"manifest": manifest, "budgeted_bytes": size, **shared}
        )
        for sections, manifest, size in zip(rows, manifests, sizes.tolist())
    ]


def _manifests(names: Sequence[EmbedderId], crcs: UInt32Array, moment: int) -> list[bytes]:
    """Return the manifests of records whose sections have checksums [n, len(names)]."""
    like = Manifest(dict.fromkeys(names, 0), moment, moment).to_bytes()[:-SIZE]
    heads = np.tile(np.frombuffer(like, np.uint8), (len(crcs), 1))
    entries = heads[:, -ENTRY_BYTES * len(names) :].reshape(len(crcs), len(names), ENTRY_BYTES)
    entries[:, :, -SIZE:] = crcs.astype("<u4")[..., None].view(np.uint8)
    heads[:, -ENTRY_BYTES * len(names) :] = entries.reshape(len(crcs), -1)
    return sealed(heads, np.empty(0, np.uint8), np.zeros(len(crcs) + 1, np.int64)).rows
