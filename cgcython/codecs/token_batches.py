"""Batches of tokens: chosen and written a block of texts at a time, without a call for each."""

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.codecs.checks import (
    invalid,
    output,
    output_columns,
    require_columns,
    require_rows,
)
from cgcython.codecs.rows import numbered
from cgcython.codecs.token_keeping import keep_many
from cgcython.codecs.token_layouts import (
    NAMES,
    NUMBERS,
    WITH_F32_SCALES,
    damage,
    kept_in,
    names_for,
    size_of,
)
from cgcython.codecs.token_selection import count_kept
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch
from cgcython.token_array import TokenArray
from cgcython.types import Array, Float32Array, Int64Array, TokensLike, UInt8Array, UInt32Array

if TYPE_CHECKING:
    from cgcython.codecs.token_pruning import TokenPruningCodec

BLOCK = 64  # texts, so that what is chosen from is still in the cache when it is written


class TokenColumns(NamedTuple):
    """The columns of a batch, how many tokens each row keeps, and its layout's number in NAMES."""

    data: UInt8Array
    offsets: Int64Array
    originals: UInt32Array
    kept: Int64Array
    layouts: UInt8Array


def encode(
    codec: "TokenPruningCodec",
    documents: TokenArray | Sequence[TokensLike],
    num_threads: int,
    out: QuantizedBatch | None,
) -> QuantizedBatch:
    """Return the batch of a TokenArray or list of token matrices."""
    texts, layout = numbered(documents), codec.layout
    counts = np.array([_count(codec, one) for one in texts], np.int64)
    ratio, known = codec.pruning_ratio, np.unique(counts)
    few = np.array([count_kept(count, ratio) for count in known.tolist()], np.int64)
    kept = few[np.searchsorted(known, counts)]
    sizes = size_of(layout, codec.dim, counts, kept)
    wants_fit = layout in WITH_F32_SCALES
    places, data = _room(codec, sizes, None if wants_fit else out)
    misfits = _fill(codec, texts, counts, kept, data, places, num_threads)
    if misfits:
        sizes[misfits] = size_of(WITH_F32_SCALES[layout], codec.dim, counts, kept)[misfits]
        places, data = _room(codec, sizes, None)
        _fill(codec, texts, counts, kept, data, places, num_threads)
    if wants_fit and out is not None:  # whose size was not known before
        written, (data,) = data, output_columns(out, codec, data=(data.shape, np.uint8))
        data[:] = written
    columns: dict[str, Array] = {
        "data": data,
        "offsets": places,
        "original_tokens": counts.astype(np.uint32),
    }
    return QuantizedBatch(codec.method, codec.dim, columns, codec.shared_values)


def decode(
    codec: "TokenPruningCodec", batch: QuantizedBatch, num_threads: int, out: Float32Array | None
) -> TokenArray:
    """Return the kept tokens of a batch as a TokenArray; `out` is [all kept tokens, dim]."""
    data, offsets, originals, kept, layouts = checked_columns(codec, batch)
    edges, number = _edges(kept), NUMBERS[batch.shared["layout"]]
    values = output(out, (int(edges[-1]), codec.dim))

    def decode(start: int, stop: int) -> int:
        rows, some = slice(start, stop), slice(start, stop + 1)
        bad = kernels.token_records.decode_rows(
            data, offsets[some], originals[rows], edges[some], number, values
        )
        return start + bad if bad >= 0 else len(batch)

    bad = min(split_rows(decode, len(batch), num_threads))
    if bad < len(batch):
        payload = data[offsets[bad] : offsets[bad + 1]]
        raise damage(codec, payload, int(originals[bad]), int(kept[bad]), NAMES[layouts[bad]])
    return TokenArray(values, edges)


def checked_columns(codec: "TokenPruningCodec", batch: QuantizedBatch) -> TokenColumns:
    """Return the columns of a batch, checked against each other."""
    n, layout = require_rows(batch, codec), batch.shared.get("layout")
    offsets, originals = require_columns(
        batch, codec, offsets=((n + 1,), np.int64), original_tokens=((n,), np.uint32)
    )
    if not (isinstance(layout, str) and layout in names_for(codec.dim)):
        raise invalid(codec, f"layout {layout!r}")
    (data,) = require_columns(batch, codec, data=((int(offsets[-1]),), np.uint8))
    sizes = np.diff(offsets)
    if offsets[0] != 0 or np.any(sizes < 0):
        raise invalid(codec, "offsets do not fit the token counts")
    kept, expected, numbers = _measured(layout, codec.dim, data, offsets, originals)
    if not np.all((kept >= 0) & (kept <= originals) & (sizes == expected)):
        raise invalid(codec, "offsets do not fit the token counts")
    return TokenColumns(data, offsets, originals, kept, numbers)


def _measured(
    layout: str, dim: int, data: UInt8Array, offsets: Int64Array, originals: UInt32Array
) -> tuple[Int64Array, Int64Array, UInt8Array]:
    """Return how many tokens each row keeps, the bytes it then has, and its layout's number."""
    sizes, wide = np.diff(offsets), originals.astype(np.int64)
    numbers = np.full(len(sizes), NUMBERS[layout], np.uint8)
    if layout not in WITH_F32_SCALES:
        kept = kept_in(layout, dim, sizes, wide)
        return kept, size_of(layout, dim, wide, kept), numbers
    kept, other = np.empty(len(sizes), np.int64), WITH_F32_SCALES[layout]
    kernels.token_records.count_kept(data, offsets, originals, kept)
    expected = size_of(layout, dim, wide, kept)
    # A row whose size is not that of f16 scales has f32 ones.
    fits = sizes == expected
    numbers[~fits] = NUMBERS[other]
    return kept, np.where(fits, expected, size_of(other, dim, wide, kept)), numbers


def _room(
    codec: "TokenPruningCodec", sizes: Int64Array, out: QuantizedBatch | None
) -> tuple[Int64Array, UInt8Array]:
    """Return where texts of some sizes lie, and memory for them."""
    places = _edges(sizes)
    (data,) = output_columns(out, codec, data=((int(places[-1]),), np.uint8))
    return places, data


def _fill(
    codec: "TokenPruningCodec",
    texts: Any,
    counts: Int64Array,
    kept: Int64Array,
    data: UInt8Array,
    places: Int64Array,
    num_threads: int,
) -> list[int]:
    """Write all texts; return those with a scale that their layout does not hold."""

    def write(start: int, stop: int) -> list[int]:
        misfits = []
        for first in range(start, stop, BLOCK):
            rows = slice(first, min(first + BLOCK, stop))
            tokens, edges = _joined(codec, texts[rows], counts[rows]), _edges(kept[rows])
            offsets, room = _edges(counts[rows]), places[rows.start : rows.stop + 1]
            chosen = keep_many(codec, tokens, offsets, edges)
            number = NUMBERS[codec.layout]
            found = _write(tokens, offsets, *chosen, edges, number, data, room)
            misfits += [first + row for row in found]
        return misfits

    return list(chain(*split_rows(write, len(texts), num_threads, first=BLOCK)))


def _write(
    tokens: Float32Array,
    offsets: Int64Array,
    kept: UInt32Array,
    importance: Float32Array,
    edges: Int64Array,
    number: int,
    data: UInt8Array,
    places: Int64Array,
) -> list[int]:
    """Write some texts; return those with a scale that their layout does not hold."""
    misfits: list[int] = []
    begin = 0
    while True:
        bad = kernels.token_records.encode_rows(
            tokens, offsets[begin:], kept, importance, edges[begin:], number, data, places[begin:]
        )
        if bad < 0:
            return misfits
        misfits.append(begin + bad)
        begin += bad + 1


def _count(codec: "TokenPruningCodec", tokens: Any) -> int:
    is_matrix = type(tokens) is np.ndarray and tokens.ndim == 2
    return len(tokens if is_matrix else codec.as_tokens(tokens))


def _edges(counts: Int64Array) -> Int64Array:
    """Return where each of some rows begins, and where the last one ends."""
    edges = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=edges[1:])
    return edges


def _joined(codec: "TokenPruningCodec", texts: Any, counts: Int64Array) -> Float32Array:
    """Return the tokens of some texts in one finite matrix, or say what is wrong with one."""
    tokens = np.empty((int(counts.sum()), codec.dim), np.float32)
    is_stacked = kernels.sections.stack(list(texts), True, tokens)
    if not is_stacked or kernels.dense.first_nonfinite(tokens.reshape(-1)) >= 0:
        sound = [codec.as_tokens(one) for one in texts]
        tokens = np.concatenate([tokens[:0], *sound])
    return tokens
