"""The encoder of one method: it knows a profile, and makes the codec of each embedder."""

from collections.abc import Iterable
from typing import Any

from cgcython.base import (
    Embedder,
    EmbedderId,
    EmbedderName,
    ModelId,
    Profile,
    ProfileName,
    QuantizationMethod,
)
from cgcython.checks import NO_KEY, iterated
from cgcython.codecs.base import Codec, codec_class
from cgcython.embedders.codebooks import Codebooks, CodebookSource
from cgcython.embedders.ladder import require_step
from cgcython.embedders.losses import RecallLoss
from cgcython.errors import (
    CodebookMissing,
    InvalidQuantizedData,
    MethodMismatch,
    QuantizationError,
)
from cgcython.records import QuantizedBatch, QuantizedEmbedding

# The part of the tokens in canonical layouts, where neither a profile nor a caller says which.
AUTO_PARTS: dict[EmbedderId, float] = {ModelId.LATE_INTERACTION: 0.5}
_MOST_DECODERS = 64  # dimensions come with the embeddings, so their number is not ours


class Encoder:
    """The codecs of one method, for the embedders of a profile.

    `codebooks` as in Codebooks; `settings` are those that the codecs of the method take.
    """

    def __init__(
        self,
        method: QuantizationMethod,
        profile: ProfileName | None = None,
        codebooks: CodebookSource | None = None,
        **settings: Any,
    ) -> None:
        if not isinstance(codebooks, Codebooks):
            codebooks = Codebooks(codebooks, profile)
        self.method, self.profile, self.codebooks = method, Profile.named(profile), codebooks
        self._class, self._settings = codec_class(method), settings
        self._codecs: dict[EmbedderName, Codec] = {}
        self._compact: dict[tuple[EmbedderName, int], Codec] = {}
        self._decoders: dict[int, Codec] = {}

    def quantize(self, model_id: EmbedderName, embedding: Any) -> QuantizedEmbedding:
        """Return the QuantizedEmbedding of one embedding."""
        try:
            codec = self._codecs.get(model_id)
        except NO_KEY:
            codec = None
        codec = codec or self.codec(model_id)
        try:
            return codec.encode(embedding)
        except QuantizationError as error:
            error.about(self.profile.embedder(model_id))
            raise

    def dequantize(self, quantized: QuantizedEmbedding, out: Any = None) -> Any:
        """Return the embedding of a QuantizedEmbedding, in `out` where the method can fill one."""
        decoder = self.decoder(quantized)
        return decoder.decode(quantized) if out is None else decoder.decode(quantized, out)

    def quantize_batch(
        self,
        model_id: EmbedderName,
        embeddings: Any,
        num_threads: int = 1,
        out: QuantizedBatch | None = None,
    ) -> QuantizedBatch:
        """Return the QuantizedBatch of many embeddings; columns of the batch `out` are reused."""
        codec = self.codec(model_id)
        try:
            return codec.encode_batch(embeddings, num_threads, out)
        except QuantizationError as error:
            error.about(self.profile.embedder(model_id))
            raise

    def dequantize_batch(self, batch: QuantizedBatch, num_threads: int = 1, out: Any = None) -> Any:
        """Return the embeddings of a batch, in `out` where one is given."""
        return self.decoder(batch).decode_batch(batch, num_threads, out=out)

    def expected_size(self, model_id: EmbedderName, count: int | None = None) -> int:
        """Return the bytes of one embedding of `count` non-zeros or tokens, of values by profile.

        Where there is no codebook yet, it is the size of the default one.
        """
        try:
            return self.codec(model_id).expected_size(count)
        except CodebookMissing:
            size: int = self._row(model_id).setting("bytes", self._class.untrained_bytes)
            return size

    def measure_recall_loss(self, model_id: EmbedderName, embeddings: Iterable[Any]) -> RecallLoss:
        """Return the mean loss of encoding embeddings, 1 - cosine; the worst is `.maximum`."""
        codec = self.codec(model_id)
        rows = iterated(embeddings, "embeddings")
        try:
            return RecallLoss.of(codec.loss(x, codec.decode(codec.encode(x))) for x in rows)
        except QuantizationError as error:
            error.about(self.profile.embedder(model_id))
            raise

    def codec(self, model_id: EmbedderName) -> Codec:
        """Return the codec of an embedder, made when first asked for.

        Raises MethodMismatch for an embedder of another method.
        """
        try:
            codec = self._codecs.get(model_id)
        except NO_KEY:
            codec = None
        if codec is None:
            row = self._row(model_id)
            codec = self._codecs.get(row.model_id) or self._made(row)
            self._codecs[row.model_id] = codec
        return codec

    def compact_codec(self, model_id: EmbedderName, step: int = 0) -> Codec:
        """Return the codec that fingerprints use at a step of LADDER, 0 being the finest."""
        key = self.profile.embedder(model_id), require_step(step)
        if key not in self._compact:
            row = self._row(model_id)
            self._compact[key] = self.codec(model_id).compact_for(row, step, **self._settings)
        return self._compact[key]

    def decoder(self, quantized: QuantizedEmbedding | QuantizedBatch) -> Codec:
        """Return the codec that reads an embedding or a batch: by its dimension or its codebook.

        Raises MethodMismatch for those of another method, CodebookMissing.
        """
        is_quantized = isinstance(quantized, (QuantizedEmbedding, QuantizedBatch))
        if not is_quantized or quantized.method is not self.method:
            actual = getattr(quantized, "method", type(quantized).__name__)
            raise MethodMismatch(expected=self.method, actual=actual)
        if self._class.needs_codebook:
            return self._codebook_decoder(quantized)
        return self._decoders.get(quantized.original_dim) or self._new_decoder(quantized)

    def _new_decoder(self, quantized: QuantizedEmbedding | QuantizedBatch) -> Codec:
        dim = quantized.original_dim
        if type(dim) is not int or dim < 1:
            raise InvalidQuantizedData(method=self.method, reason=f"original_dim is {dim!r}")
        if len(self._decoders) >= _MOST_DECODERS:
            self._decoders.clear()
        codec = self._decoders[dim] = self._class.for_dimension(dim, **self._settings)
        return codec

    def _codebook_decoder(self, quantized: QuantizedEmbedding | QuantizedBatch) -> Codec:
        if isinstance(quantized, QuantizedBatch):
            codebook_id = quantized.shared.get("codebook_id")
        else:
            codebook_id = getattr(quantized.metadata, "codebook_id", None)
        if not isinstance(codebook_id, int):
            raise InvalidQuantizedData(method=self.method, reason="it names no codebook")
        codec = self._decoders.get(codebook_id)
        if codec is None:
            codebook = self.codebooks.by_id(codebook_id)
            codec = self._class.for_dimension(codebook.embedding_dim, codebook, **self._settings)
            self._decoders[codebook_id] = codec
        return codec

    def _row(self, model_id: EmbedderName) -> Embedder:
        row = self.profile.row(model_id)
        if row.method is not self.method:
            raise MethodMismatch(model_id=row.model_id, expected=self.method, actual=row.method)
        return row

    def _made(self, row: Embedder) -> Codec:
        codebook = self.codebooks[row.model_id] if self._class.needs_codebook else None
        settings = self._settings
        if "pruning_ratio" in self._class.settings:
            settings = {"pruning_ratio": AUTO_PARTS.get(row.model_id, 1.0), **settings}
        return self._class.for_row(row, codebook, **settings)
