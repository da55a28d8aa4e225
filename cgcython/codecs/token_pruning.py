"""Token pruning: the tokens worth keeping, as the seeds' records or compactly.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and E4M3 codes,
or f32 vectors.
"""

from dataclasses import dataclass

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens, require_finite
from cgcython.base import QuantizationMethod
from cgcython.codecs.base import (
    invalid,
    output,
    payloads_at,
    require_columns,
    require_count,
    require_kind,
    require_size,
)
from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    choose_tokens,
    count_kept,
    require_method,
    require_part,
)
from cgcython.errors import InvalidInput
from cgcython.metadata import TokenPruningMetadata, to_float32
from cgcython.parallel import split_rows
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.similarity import max_sim
from cgcython.token_array import TokenArray

LAYOUTS = ("canonical", "compact_e4m3", "compact_f32")
_F32, _U32 = np.dtype("<f4"), np.dtype("<u4")
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
        if self.layout not in LAYOUTS:
            raise InvalidInput(what="layout", expected=" or ".join(LAYOUTS), actual=self.layout)
        object.__setattr__(self, "pruning_ratio", float(self.pruning_ratio))
        object.__setattr__(self, "_threshold", to_float32(self.pruning_ratio))

    def encode(self, tokens, attention_weights=None):
        """Return the record of one text's tokens, a matrix [n, dim]."""
        tokens = self._tokens(tokens)
        original = len(tokens)
        kept = count_kept(original, self.pruning_ratio)
        data = np.empty(self._size_of(original, kept, self.layout), np.uint8)
        self._write(tokens, kept, data, attention_weights)
        metadata = TokenPruningMetadata(original, kept, self._threshold, self.layout)
        return QuantizedEmbedding(self.method, self.dim, data.tobytes(), metadata)

    def decode(self, quantized, out=None):
        """Return the kept tokens as a matrix [kept, dim]."""
        original, kept, layout = self._header(quantized)
        require_size(self, quantized.data, self._size_of(original, kept, layout))
        out = output(out, (kept, self.dim))
        self._read(quantized.data, original, kept, layout, out)
        return out

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
        is_list = not isinstance(documents, TokenArray)
        if is_list:
            documents = [self._tokens(document) for document in documents]
        else:
            documents.require_values()
        originals = np.array([len(document) for document in documents], np.uint32)
        offsets = np.zeros(len(originals) + 1, np.int64)
        np.cumsum([self._size(int(n)) for n in originals], out=offsets[1:])
        data = output(out and out.columns["data"], (int(offsets[-1]),), np.uint8)

        def encode(start, stop):
            for i in range(start, stop):
                tokens = documents[i] if is_list else self._tokens(documents[i])
                kept = count_kept(len(tokens), self.pruning_ratio)
                self._write(tokens, kept, data[offsets[i] : offsets[i + 1]])

        split_rows(encode, len(originals), num_threads)
        columns = {"data": data, "offsets": offsets, "original_tokens": originals}
        shared = {"layout": self.layout, "threshold": self._threshold}
        return QuantizedBatch(self.method, self.dim, columns, shared)

    def decode_batch(self, batch, num_threads=1, out=None):
        """Return the kept tokens of a batch as a TokenArray; `out` is [all kept tokens, dim]."""
        data, offsets, originals, kept, layout = self._columns(batch)
        rows = np.concatenate([[0], np.cumsum(kept)])
        values = output(out, (int(rows[-1]), self.dim))

        def decode(start, stop):
            for i in range(start, stop):
                payload = data[offsets[i] : offsets[i + 1]]
                row = values[rows[i] : rows[i + 1]]
                self._read(payload, int(originals[i]), int(kept[i]), layout, row)

        split_rows(decode, len(batch), num_threads)
        return TokenArray(values, rows)

    def row(self, batch, i):
        """Return row i of a batch as a record."""
        offsets, original = batch.columns["offsets"], int(batch.columns["original_tokens"][i])
        data = batch.columns["data"][offsets[i] : offsets[i + 1]].tobytes()
        return self._record(data, original, **batch.shared)

    def rows(self, batch):
        """Return all rows of a batch as records."""
        parts = payloads_at(batch.columns["data"], batch.columns["offsets"])
        originals = batch.columns["original_tokens"].tolist()
        return [self._record(*row, **batch.shared) for row in zip(parts, originals)]

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
        tokens = as_tokens(tokens, self.dim, finite=False)
        if kernels.dense.first_nonfinite(tokens.reshape(-1)) >= 0:
            require_finite(tokens)
        return tokens

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
        return 4 + self.dim if layout == "compact_e4m3" else 4 * self.dim

    def _kept_in(self, size, original, layout):
        """Return how many tokens a payload of some size holds; rounded down if it is none."""
        if layout == "canonical":
            return (size - 4) // (4 + 4 * self.dim)
        return (size - (original + 7) // 8) // self._token_size(layout)

    def _write(self, tokens, count, data, attention_weights=None):
        kept, importance = choose_tokens(tokens, count, self.scoring_method, attention_weights)
        if self.layout == "compact_e4m3":
            kernels.e4m3.encode_kept(tokens, kept, data)
        elif self.layout == "compact_f32":
            mask = np.zeros(len(tokens), bool)
            mask[kept] = True
            vectors = tokens[kept].view(np.uint8).reshape(-1)
            data[:] = np.concatenate([np.packbits(mask), vectors])
        else:
            data[:4].view(_U32)[:] = count
            records = np.empty((count, 1 + self.dim), _F32)
            records[:, 0], records[:, 1:] = importance, tokens[kept]
            data[4:] = records.view(np.uint8).reshape(-1)

    def _read(self, data, original, kept, layout, out):
        if layout == "compact_e4m3" and kernels.e4m3.decode_kept(data, original, out):
            return
        data = np.frombuffer(data, np.uint8)
        if layout == "canonical":
            self._read_canonical(data, kept, out)
        else:
            bitmap_bytes = (original + 7) // 8
            self._require_bitmap(data[:bitmap_bytes], original, kept)
            self._read_compact(data[bitmap_bytes:], layout, kept, out)
        # A NaN code, and a scale too large for its codes, come to light here too.
        if kernels.dense.first_nonfinite(out.reshape(-1)) >= 0:
            raise invalid(self, "a value is not finite")

    def _read_canonical(self, data, kept, out):
        count = int.from_bytes(data[:4].tobytes(), "little")
        if count != kept:
            raise invalid(self, f"the bytes count {count} tokens, the metadata {kept}")
        out[:] = _floats(data[4:]).reshape(kept, 1 + self.dim)[:, 1:]

    def _read_compact(self, data, layout, kept, out):
        if layout == "compact_f32":
            out[:] = _floats(data).reshape(kept, self.dim)
            return
        scales, codes = _floats(data[: 4 * kept]), data[4 * kept :].reshape(kept, self.dim)
        kernels.e4m3.decode_rows(codes, scales, out)

    def _require_bitmap(self, bitmap, original, kept):
        """Check that a bitmap names as many of the original positions as tokens were kept."""
        bits = int.from_bytes(bitmap.tobytes(), "big")
        padding = (1 << -original % 8) - 1
        if bits.bit_count() != kept or bits & padding:
            raise invalid(self, f"the bitmap names {bits.bit_count()} tokens, there are {kept}")

    def _header(self, quantized):
        require_kind(quantized, self, TokenPruningMetadata)
        original, kept, _, layout = quantized.metadata
        whole = isinstance(original, _WHOLE) and isinstance(kept, _WHOLE)
        if not whole or not 0 <= kept <= original < 2**32:
            raise invalid(self, f"{kept} tokens of {original}")
        if layout not in LAYOUTS:
            raise invalid(self, f"layout {layout!r}")
        return int(original), int(kept), layout

    def _columns(self, batch):
        """Return data, offsets, original and kept tokens and layout, checked against each other."""
        n, layout = len(batch), batch.shared.get("layout")
        offsets, originals = require_columns(
            batch, self, offsets=((n + 1,), np.int64), original_tokens=((n,), np.uint32)
        )
        if layout not in LAYOUTS:
            raise invalid(self, f"layout {layout!r}")
        (data,) = require_columns(batch, self, data=((int(offsets[-1]),), np.uint8))
        sizes, wide = np.diff(offsets), originals.astype(np.int64)
        kept = self._kept_in(sizes, wide, layout)
        sound = (kept >= 0) & (kept <= wide) & (sizes == self._size_of(wide, kept, layout))
        if offsets[0] != 0 or not sound.all():
            raise invalid(self, "offsets do not fit the token counts")
        return data, offsets, originals, kept, layout


def _floats(data):
    """Return the little-endian floats of some bytes, wherever they begin."""
    return np.frombuffer(data.tobytes(), _F32)
