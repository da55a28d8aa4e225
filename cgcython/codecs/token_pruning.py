"""Token pruning: the tokens worth keeping, as the seeds' records or compactly.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and codes (E4M3,
or the 4 or 2 bits of a TokenArray), or f32 vectors.
"""

from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import (
    invalid,
    output,
    payloads_at,
    records_of,
    require_columns,
    require_count,
    require_kind,
    require_size,
    rows_as,
)
from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    choose_tokens,
    count_kept,
    require_method,
    require_part,
)
from cgcython.errors import InvalidInput, InvalidQuantizedData
from cgcython.metadata import TokenPruningMetadata, to_float32
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.similarity import max_sim
from cgcython.token_array import TokenArray

LAYOUTS = ("canonical", "compact_e4m3", "compact_f32", "compact_int4", "compact_int2")
_BITS = {"compact_e4m3": 8, "compact_int4": 4, "compact_int2": 2}
WIDEST_TURNED = kernels.token_records.WIDEST_TURNED  # values of a token of 4 or 2 bits
_NUMBERS = {layout: number for number, layout in enumerate(LAYOUTS)}
_WHOLE = int, np.integer


@dataclass(frozen=True)
class TokenPruningCodec:
    """Keeps ceil(n * pruning_ratio) tokens of `dim` values each.

    >>> codec = TokenPruningCodec(dim=2, layout="compact_e4m3")
    >>> q = codec.encode([[1, 0], [0, 2], [3, 0]])
    >>> codec.positions(q), codec.decode(q).tolist()
    (array([1, 2]), [[0.0, 2.0], [3.0, 0.0]])
    """

    dim: int
    pruning_ratio: float = 0.5
    scoring_method: ImportanceScoringMethod = ImportanceScoringMethod.MAX_ABS
    layout: str = "canonical"
    method = QuantizationMethod.TOKEN_PRUNING

    def __post_init__(self):
        require_part("pruning_ratio", self.pruning_ratio, largest=1)
        require_method(self.scoring_method)
        layouts = tuple(filter(self._has_layout, LAYOUTS))
        if self.layout not in layouts:
            expected = f"{' or '.join(layouts)} for tokens of {self.dim} values"
            raise InvalidInput(what="layout", expected=expected, actual=self.layout)
        object.__setattr__(self, "_layouts", layouts)
        object.__setattr__(self, "pruning_ratio", float(self.pruning_ratio))
        object.__setattr__(self, "_threshold", to_float32(self.pruning_ratio))

    def encode(self, tokens, attention_weights=None):
        """Return the record of one text's tokens, a matrix [n, dim]."""
        tokens = self._tokens(tokens)
        data, kept = self._write(tokens, attention_weights)
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(
            TokenPruningMetadata, (len(tokens), kept, self._threshold, self.layout)
        )
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(self, quantized, out=None):
        """Return the kept tokens as a matrix [kept, dim]."""
        original, kept, layout = self._header(quantized)
        data, number = quantized.data, _NUMBERS[layout]
        try:
            values = kernels.token_records.decode(data, original, kept, self.dim, number, out)
        except ValueError:  # of `out`, mostly
            output(out, (kept, self.dim))
            raise
        if values is None:
            raise self._damage(np.frombuffer(data, np.uint8), original, kept, layout)
        return values

    def positions(self, quantized):
        """Return the positions that the kept tokens of a compact record had, ascending."""
        original, kept, layout = self._header(quantized)
        if layout == "canonical":
            raise InvalidInput(what="layout", expected=" or ".join(LAYOUTS[1:]), actual=layout)
        data = np.frombuffer(quantized.data, np.uint8)
        require_size(self, data, self._size_of(original, kept, layout))
        bitmap = data[: (original + 7) // 8]
        self._require_bitmap(bitmap, original, kept)
        return np.flatnonzero(np.unpackbits(bitmap))

    def encode_batch(self, documents, num_threads=1, out=None):
        """Return the batch of a TokenArray or list of token matrices.

        `out` is a batch whose `data` is reused when it has the right size.
        """
        if isinstance(documents, TokenArray):
            documents.require_values()

        def encode(start, stop):
            texts = (self._tokens(documents[i]) for i in range(start, stop))
            return [(self._write(tokens)[0], len(tokens)) for tokens in texts]

        parts = split_rows(encode, len(documents), num_threads)
        records, originals = zip(*chain.from_iterable(parts)) if len(documents) else ((), ())
        offsets = np.zeros(len(records) + 1, np.int64)
        np.cumsum(list(map(len, records)), out=offsets[1:])
        data = output(out and out.columns["data"], (int(offsets[-1]),), np.uint8)
        data[:] = np.frombuffer(b"".join(records), np.uint8)
        originals = np.array(originals, np.uint32)
        columns = {"data": data, "offsets": offsets, "original_tokens": originals}
        shared = {"layout": self.layout, "threshold": self._threshold}
        return QuantizedBatch(self.method, self.dim, columns, shared)

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the kept tokens of a batch as a TokenArray; `out` is [all kept tokens, dim]."""
        data, offsets, originals, kept, layout = self._columns(batch)
        edges = np.concatenate([[0], np.cumsum(kept)])
        values = output(out, (int(edges[-1]), self.dim))

        def decode(start, stop):
            rows, some = slice(start, stop), slice(start, stop + 1)
            bad = kernels.token_records.decode_rows(
                data, offsets[some], originals[rows], edges[some], _NUMBERS[layout], values
            )
            return start + bad if bad >= 0 else len(batch)

        bad = min(split_rows(decode, len(batch), num_threads))
        if bad < len(batch):
            payload = data[offsets[bad] : offsets[bad + 1]]
            raise self._damage(payload, int(originals[bad]), int(kept[bad]), layout)
        return TokenArray(values, edges)

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        offsets, original = batch.columns["offsets"], int(batch.columns["original_tokens"][i])
        data = batch.columns["data"][offsets[i] : offsets[i + 1]].tobytes()
        return self._record(data, original, **batch.shared)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        columns, layout = batch.columns, batch.shared["layout"]
        originals = columns["original_tokens"].tolist()
        sizes = np.diff(columns["offsets"]).tolist()
        kept = [self._kept_in(*row, layout) for row in zip(sizes, originals)]
        shared = repeat(batch.shared["threshold"]), repeat(layout)
        metadata = rows_as(TokenPruningMetadata, originals, kept, *shared)
        return records_of(self, payloads_at(columns["data"], columns["offsets"]), metadata)

    def expected_size(self, count=None):
        """Return the bytes of one record of `count` tokens, 32 unless told."""
        count = 32 if count is None else count
        require_count(count)
        return self._size(int(count))

    def loss(self, original, decoded):
        """Return 1 - max_sim(original, kept)."""
        return 1 - max_sim(original, decoded) if len(as_tokens(original)) else 0.0

    def _tokens(self, tokens):
        """Return one text's tokens, a finite matrix [n, dim]."""
        is_sound = kernels.token_records.is_sound(tokens, self.dim)
        return tokens if is_sound else as_tokens(tokens, self.dim)

    def _record(self, data, original, layout, threshold):
        kept = self._kept_in(len(data), original, layout)
        metadata = TokenPruningMetadata(original, kept, threshold, layout)
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def _size(self, tokens):
        return self._size_of(tokens, count_kept(tokens, self.pruning_ratio), self.layout)

    def _size_of(self, original, kept, layout):
        if layout == "canonical":
            return 4 + kept * (4 + 4 * self.dim)
        return (original + 7) // 8 + kept * self._token_size(layout)

    def _token_size(self, layout):
        bits = _BITS.get(layout)
        return 4 + (self.dim * bits + 7) // 8 if bits else 4 * self.dim

    def _has_layout(self, layout):
        """Whether tokens of so many values may be kept in a layout."""
        turned = _BITS.get(layout, 8) < 8
        return layout in LAYOUTS and not (turned and self.dim > WIDEST_TURNED)

    def _kept_in(self, size, original, layout):
        """Return how many tokens a payload of some size holds; rounded down if it is none."""
        if layout == "canonical":
            return (size - 4) // (4 + 4 * self.dim)
        return (size - (original + 7) // 8) // self._token_size(layout)

    def _write(self, tokens, attention_weights=None):
        """Return the bytes of a text and how many of its tokens they keep."""
        count = count_kept(len(tokens), self.pruning_ratio)
        kept, importance = choose_tokens(tokens, count, self.scoring_method, attention_weights)
        number = _NUMBERS[self.layout]
        return kernels.token_records.encode(tokens, kept, importance, number), count

    def _damage(self, data, original, kept, layout):
        """Return the error that says why a kernel refused these bytes."""
        try:
            require_size(self, data, self._size_of(original, kept, layout))
            if layout != "canonical":
                self._require_bitmap(data[: (original + 7) // 8], original, kept)
        except InvalidQuantizedData as error:
            return error
        count = int.from_bytes(data[:4].tobytes(), "little")
        if layout == "canonical" and count != kept:
            return invalid(self, f"the bytes count {count} tokens, the metadata {kept}")
        # A NaN code, a scale out of range and padding that is not zero come to light here too.
        return invalid(self, "a value is not finite, or not as an encoder writes it")

    def _require_bitmap(self, bitmap, original, kept):
        """Check that a bitmap names as many of the original positions as tokens were kept."""
        bits = int.from_bytes(bitmap.tobytes(), "big")
        padding = (1 << -original % 8) - 1
        if bits.bit_count() != kept or bits & padding:
            raise invalid(self, f"the bitmap names {bits.bit_count()} tokens, there are {kept}")

    def _header(self, quantized):
        metadata = quantized.metadata
        if not (
            quantized.method is self.method
            and type(metadata) is TokenPruningMetadata
            and quantized.original_dim == self.dim
        ):
            require_kind(quantized, self, TokenPruningMetadata)
        original, kept, _, layout = metadata
        whole = isinstance(original, _WHOLE) and isinstance(kept, _WHOLE)
        if not whole or not 0 <= kept <= original < 2**32:
            raise invalid(self, f"{kept} tokens of {original}")
        if layout not in self._layouts:
            raise invalid(self, f"layout {layout!r}")
        return int(original), int(kept), layout

    def _columns(self, batch):
        """Return data, offsets, original and kept tokens and layout, checked against each other."""
        n, layout = len(batch), batch.shared.get("layout")
        offsets, originals = require_columns(
            batch, self, offsets=((n + 1,), np.int64), original_tokens=((n,), np.uint32)
        )
        if layout not in self._layouts:
            raise invalid(self, f"layout {layout!r}")
        (data,) = require_columns(batch, self, data=((int(offsets[-1]),), np.uint8))
        sizes, wide = np.diff(offsets), originals.astype(np.int64)
        kept = self._kept_in(sizes, wide, layout)
        sound = (kept >= 0) & (kept <= wide) & (sizes == self._size_of(wide, kept, layout))
        if offsets[0] != 0 or not sound.all():
            raise invalid(self, "offsets do not fit the token counts")
        return data, offsets, originals, kept, layout
