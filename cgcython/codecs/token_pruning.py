"""Token pruning: the tokens worth keeping, in the seeds' layout or compactly.

Canonical bytes are u32 count, then f32 importance and the f32 vector of each kept token. Compact
bytes are a bitmap of kept positions, most significant bit first, then f32 scales and codes (E4M3,
or the 4 or 2 bits of a TokenArray), or f32 vectors. Layouts of 4 and 2 bits may have f16 scales; a
text with a scale that f16 rounds coarsely, or not at all, is kept with f32 scales instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from math import isfinite
from typing import Any

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_tokens
from cgcython.base import Embedder, QuantizationMethod
from cgcython.checks import require_choice, require_instance, require_whole
from cgcython.codecs import token_batches
from cgcython.codecs.base import Codec, InputKind
from cgcython.codecs.checks import (
    invalid,
    not_quantized,
    output,
    require_dim,
    require_kind,
    require_row,
    require_size,
    shared_float,
)
from cgcython.codecs.framing import Payloads
from cgcython.codecs.row_settings import AUTO, TOKENS
from cgcython.codecs.rows import embeddings_of, payloads_at, tuples_of
from cgcython.codecs.token_keeping import keep
from cgcython.codecs.token_layouts import (
    COLUMNS,
    LAYOUTS,
    NAMES,
    NUMBERS,
    WIDEST_TURNED,
    WITH_F32_SCALES,
    damage,
    names_for,
    size_of,
    wrong_bitmap,
)
from cgcython.codecs.token_selection import (
    ImportanceScoringMethod,
    count_kept,
    require_method,
    require_part,
)
from cgcython.codecs.token_steps import BY_BUDGET, BY_PRECISION, WIDE
from cgcython.errors import InvalidInput
from cgcython.metadata import TokenPruningMetadata, to_float32
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.similarity import max_sim
from cgcython.token_array import TokenArray
from cgcython.types import ArrayLike, Float32Array, Int64Array, TokensLike

_SECTION_NUMBERS = np.array([one.number for one in LAYOUTS], np.uint8)


@dataclass(frozen=True)
class TokenPruningCodec(Codec):
    """Keeps ceil(n * pruning_ratio) tokens of `dim` values each.

    `pool` merges the others into those like them by Ward clustering, instead of dropping them.

    Columns of batches: `data` [bytes] u8, `offsets` [n + 1] i64 and `original_tokens` [n] u32.

    >>> codec = TokenPruningCodec(dim=2, layout="compact_e4m3")
    >>> q = codec.encode([[1, 0], [0, 2], [3, 0]])
    >>> codec.positions(q), codec.decode(q).tolist()
    (array([1, 2]), [[0.0, 2.0], [3.0, 0.0]])
    """

    dim: int
    pruning_ratio: float = 0.5
    scoring_method: ImportanceScoringMethod = ImportanceScoringMethod.MAX_ABS
    layout: str = "canonical"
    pool: bool = False
    _names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _threshold: float = field(init=False, repr=False, compare=False)

    method = QuantizationMethod.TOKEN_PRUNING
    layouts, inputs = LAYOUTS, InputKind.TOKENS
    columns, shared = COLUMNS, ("threshold", "layout")
    ragged = True
    ratio, max_loss = 2.0, 0.02
    settings = ("pruning_ratio", "scoring_method", "layout", "pool")
    row_settings = TOKENS

    def __post_init__(self) -> None:
        require_part("pruning_ratio", self.pruning_ratio, largest=1)
        require_method(self.scoring_method)
        names = names_for(require_dim(self.dim))
        require_instance(self.pool, bool, "pool")
        require_choice(self.layout, f"layout of tokens of {self.dim} values", names)
        own = {"dim": int(self.dim), "pruning_ratio": float(self.pruning_ratio), "_names": names}
        self.__dict__.update(own, _threshold=to_float32(self.pruning_ratio))

    def compact(self, step: int) -> "TokenPruningCodec":
        """Return the codec with tokens as E4M3 at steps 0 and 1 of the ladder, then 4 and 2 bits.

        It keeps the tokens that cover the others best, or pools them as this codec does. Very wide
        tokens stay E4M3.
        """
        layout = BY_PRECISION[step] if self.dim <= WIDEST_TURNED else WIDE
        scoring = ImportanceScoringMethod.COVERAGE
        return TokenPruningCodec(self.dim, self.pruning_ratio, scoring, layout, self.pool)

    def compact_for(self, row: Embedder, step: int, **settings: Any) -> "TokenPruningCodec":
        """Return `compact` of a step, or where the part to keep is open, what loses least then.

        A row that names a scoring method drops tokens by it, where others would be pooled.
        """
        said = self._arguments_of(row, "compact_argument")
        part = row.setting("pruning_ratio", settings.get("pruning_ratio", AUTO))
        if part != AUTO:
            return replace(self.compact(step), **said)
        form, scoring = BY_BUDGET[step], ImportanceScoringMethod.COVERAGE
        layout = form.layout if self.dim <= WIDEST_TURNED else WIDE
        pool = form.pool and "scoring_method" not in said
        codec = TokenPruningCodec(self.dim, form.part, scoring, layout, pool)
        return replace(codec, **said)

    def encode(
        self, tokens: TokensLike, attention_weights: ArrayLike | None = None
    ) -> QuantizedEmbedding:
        """Return the quantized embedding of one text's tokens, a matrix [n, dim]."""
        matrix = self.as_tokens(tokens)
        data, kept, layout = self._write(matrix, attention_weights)
        # The named constructor, which is Python, takes twice as long.
        metadata = tuple.__new__(TokenPruningMetadata, (len(matrix), kept, self._threshold, layout))
        return QuantizedEmbedding(self.method, self.dim, data, metadata)

    def decode(
        self, quantized: QuantizedEmbedding, out: Float32Array | None = None
    ) -> Float32Array:
        """Return the kept tokens as a matrix [kept, dim]."""
        original, kept, layout = self._header(quantized)
        data, number = quantized.data, NUMBERS[layout]
        try:
            values = kernels.token_records.decode(data, original, kept, self.dim, number, out)
        except ValueError:  # of `out`, mostly
            output(out, (kept, self.dim))
            raise
        if values is None:
            raise damage(self, np.frombuffer(data, np.uint8), original, kept, layout)
        return values

    def positions(self, quantized: QuantizedEmbedding) -> Int64Array:
        """Return the positions that the kept tokens had, ascending; compact layouts know them."""
        original, kept, layout = self._header(quantized)
        if layout == "canonical":
            raise InvalidInput(what="layout", expected=" or ".join(NAMES[1:]), actual=layout)
        data = np.frombuffer(quantized.data, np.uint8)
        require_size(self, data, size_of(layout, self.dim, original, kept))
        bitmap = data[: (original + 7) // 8]
        if wrong := wrong_bitmap(bitmap, original, kept):
            raise invalid(self, wrong)
        return np.flatnonzero(np.unpackbits(bitmap))

    @property
    def shared_values(self) -> dict[str, Any]:
        """What all rows of a batch of this codec share."""
        return {"layout": self.layout, "threshold": self._threshold}

    def encode_batch(
        self,
        documents: TokenArray | Sequence[TokensLike],
        num_threads: int = 1,
        out: QuantizedBatch | None = None,
    ) -> QuantizedBatch:
        """Return the batch of a TokenArray or list of token matrices.

        `out` is a batch whose `data` is reused when it has the right size.
        """
        return token_batches.encode(self, documents, num_threads, out)

    def decode_batch(
        self, batch: QuantizedBatch, num_threads: int = 1, out: Float32Array | None = None
    ) -> TokenArray:
        """Return the kept tokens of a batch as a TokenArray; `out` is [all kept tokens, dim]."""
        return token_batches.decode(self, batch, num_threads, out)

    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return row i of a batch as a quantized embedding."""
        i = require_row(batch, self, i)
        data, offsets, originals, kept, numbers = token_batches.checked_columns(self, batch)
        part = data[offsets[i] : offsets[i + 1]].tobytes()
        threshold, layout = shared_float(batch, self, "threshold"), NAMES[numbers[i]]
        metadata = TokenPruningMetadata(int(originals[i]), int(kept[i]), threshold, layout)
        return QuantizedEmbedding(self.method, self.dim, part, metadata)

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all rows of a batch as quantized embeddings."""
        data, offsets, originals, kept, numbers = token_batches.checked_columns(self, batch)
        threshold = repeat(shared_float(batch, self, "threshold"))
        names: Iterable[str] = repeat(batch.shared["layout"])
        if batch.shared["layout"] in WITH_F32_SCALES:
            names = map(NAMES.__getitem__, numbers.tolist())
        columns = originals.tolist(), kept.tolist(), threshold, names
        metadata = tuples_of(TokenPruningMetadata, *columns)
        return embeddings_of(self, payloads_at(data, offsets), metadata)

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch; None of the canonical layout."""
        data, offsets, originals, kept, numbers = token_batches.checked_columns(self, batch)
        threshold, layout = shared_float(batch, self, "threshold"), batch.shared["layout"]
        if layout == "canonical" or not isfinite(threshold):  # which counts its tokens too
            return None
        fields = {"original_tokens": originals, "kept_tokens": kept, "threshold": threshold}
        own, numbers = self.layouts[NUMBERS[layout]], _SECTION_NUMBERS[numbers]
        return Payloads(own, self.dim, fields, data, offsets, numbers)

    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of one text of `count` tokens, 32 unless told."""
        tokens = 32 if count is None else require_whole(count, "count")
        return size_of(self.layout, self.dim, tokens, count_kept(tokens, self.pruning_ratio))

    def loss(self, original: TokensLike, decoded: TokensLike) -> float:
        """Return 1 - max_sim(original, kept)."""
        return 1 - max_sim(original, decoded) if len(as_tokens(original)) else 0.0

    @classmethod
    def float32_bytes(cls, original_dim: int, metadata: TokenPruningMetadata) -> int:
        """Return the bytes of all tokens of a text as float32 values."""
        return 4 * original_dim * metadata.original_tokens

    @classmethod
    def batch_float32_bytes(cls, batch: QuantizedBatch) -> int:
        """Return the bytes of all tokens of a batch's texts as float32 values."""
        return 4 * batch.original_dim * int(batch.columns["original_tokens"].sum())

    def as_tokens(self, tokens: TokensLike) -> Float32Array:
        """Return one text's tokens as a finite matrix [n, dim]; raises what is wrong."""
        if kernels.token_records.is_sound(tokens, self.dim):
            return tokens  # type: ignore[return-value]  # of the right type, says the kernel
        return as_tokens(tokens, self.dim)

    def _write(
        self, tokens: Float32Array, attention_weights: ArrayLike | None = None
    ) -> tuple[bytes, int, str]:
        """Return the bytes of a text, how many of its tokens they keep, and their layout."""
        count = count_kept(len(tokens), self.pruning_ratio)
        tokens, kept = keep(self, tokens, count, attention_weights)
        encode, layout = kernels.token_records.encode, self.layout
        data = encode(tokens, *kept, NUMBERS[layout])
        if data is None:  # tokens are finite, so a scale is none of f16
            layout = WITH_F32_SCALES[layout]
            data = encode(tokens, *kept, NUMBERS[layout])
            assert data is not None
        return data, count, layout

    def _header(self, quantized: QuantizedEmbedding) -> tuple[int, int, str]:
        try:
            metadata, method = quantized.metadata, quantized.method
        except AttributeError:
            raise not_quantized(quantized) from None
        if not (
            method is self.method
            and type(metadata) is TokenPruningMetadata
            and quantized.original_dim == self.dim
        ):
            require_kind(quantized, self, TokenPruningMetadata)
        original, kept, _, layout = metadata
        whole = isinstance(original, (int, np.integer)) and isinstance(kept, (int, np.integer))
        if not whole or not 0 <= kept <= original < 2**32:
            raise invalid(self, f"{kept} tokens of {original}")
        if layout not in self._names:
            raise invalid(self, f"layout {layout!r}")
        return int(original), int(kept), layout
