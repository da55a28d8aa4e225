"""The sections of a batch, written from its columns: what `frames.write_section` makes of each row.

Heads, which hold the metadata, are rows of a structured array; a kernel puts the payloads and
checksums behind them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from cgcython import frames, kernels
from cgcython.base import EmbedderId
from cgcython.checksums import SIZE
from cgcython.errors import InvalidInput
from cgcython.records import QuantizedEmbedding
from cgcython.types import Int64Array, UInt8Array, UInt32Array


class Sections(NamedTuple):
    """The section of each row of a batch, the checksum [n] u32 that ends it, and its length [n]."""

    rows: list[bytes]
    crcs: UInt32Array
    sizes: Int64Array


class Payloads(NamedTuple):
    """What the rows of a batch hold: row i the bytes `data[offsets[i]:offsets[i + 1]]`.

    `fields` are the metadata that the layout stores, by name: an array of n, or one value for all
    rows. Where rows differ in their layout, but not in its fields, `numbers` [n] has it.
    """

    layout: frames.Layout
    dimension: int
    fields: Mapping[str, Any]
    data: UInt8Array
    offsets: Int64Array
    numbers: UInt8Array | None = None


def of_codes(
    layout: frames.Layout, dimension: int, fields: Mapping[str, Any], codes: UInt8Array
) -> Payloads:
    """Return the payloads of codes, one row of a matrix each."""
    rows, width = codes.shape
    offsets = np.arange(0, (rows + 1) * width, width) if width else np.zeros(rows + 1, np.int64)
    return Payloads(layout, dimension, fields, codes.reshape(-1), offsets)


def framed(payloads: Payloads, embedder: EmbedderId | None) -> Sections:
    """Return the sections of payloads whose metadata fit.

    Raises InvalidInput for metadata of more than 32 bits.
    """
    layout, offsets = payloads.layout, payloads.offsets
    heads = np.empty(len(offsets) - 1, frames.head_type(layout.number))
    try:
        heads["embedder"] = frames.NO_EMBEDDER if embedder is None else int(embedder)
        heads["layout"] = layout.number if payloads.numbers is None else payloads.numbers
        heads["dimension"] = payloads.dimension
        heads["length"] = offsets[1:] - offsets[:-1] + layout.fields.size
        for name, values in payloads.fields.items():
            heads[name] = values
    except (OverflowError, TypeError, ValueError) as error:  # the latter of odd embedders
        raise InvalidInput(what="metadata", expected="32-bit numbers", actual=error) from None
    return sealed(
        heads.view(np.uint8).reshape(len(heads), layout.head.size), payloads.data, offsets
    )


def sealed(heads: UInt8Array, data: UInt8Array, offsets: Int64Array) -> Sections:
    """Return each head with its part of the data and the checksum of both."""
    crcs, sizes = np.empty(len(heads), np.uint32), offsets[1:] - offsets[:-1]
    sizes += heads.shape[1] + SIZE
    return Sections(kernels.sections.frame(heads, data, offsets, crcs), crcs, sizes)


def one_by_one(rows: Iterable[QuantizedEmbedding], embedder: EmbedderId | None) -> Sections:
    """Return the sections of embeddings, each written for itself."""
    sections = [frames.write_section(one, embedder) for one in rows]
    ends = b"".join([one[-SIZE:] for one in sections])
    sizes = np.array(list(map(len, sections)), np.int64)
    return Sections(sections, np.frombuffer(ends, "<u4").astype(np.uint32), sizes)
