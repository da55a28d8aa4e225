"""The thirteen embedders, each with its method's codec: thin faces that know a profile."""

from abc import ABC, abstractmethod

from cgcython.base import ModelId, Profile, QuantizationMethod
from cgcython.codecs.binary import BinaryCodec, binary_similarity, hamming_distance
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import (
    WIDEST_TURNED,
    ImportanceScoringMethod,
    TokenPruningCodec,
)
from cgcython.embedders.codebooks import Codebooks
from cgcython.embedders.ladder import LADDER
from cgcython.errors import (
    CodebookMissing,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    QuantizationError,
)
from cgcython.records import QuantizedBatch

NUM_SUBVECTORS = 8  # of PQ-8; other codebooks say how many they have
_MOST_DECODERS = 64  # dimensions come with the records, so their number is not ours


class RecallLoss(float):
    """A mean loss, as a fraction; `maximum` is the worst embedding's."""

    def __new__(cls, mean, maximum):
        loss = super().__new__(cls, mean)
        loss.maximum = float(maximum)
        return loss

    def __getnewargs__(self):
        return float(self), self.maximum

    def __repr__(self):
        return f"RecallLoss({float(self)}, maximum={self.maximum})"

    @classmethod
    def of(cls, losses):
        """Return the mean and maximum of the losses of single embeddings."""
        losses = list(losses)
        if not losses:
            raise InvalidInput(what="embeddings", expected="at least one", actual="none")
        return cls(sum(losses) / len(losses), max(losses))


class Encoder(ABC):
    """What the five encoders share; a subclass names its method and makes its codecs."""

    method = None

    def __init__(self, profile=None):
        self.profile = Profile.named(profile)
        self._codecs, self._compact, self._decoders = {}, {}, {}

    def quantize(self, model_id, embedding):
        """Return the QuantizedEmbedding of one embedding."""
        codec = self._codecs.get(model_id) or self.codec(model_id)
        try:
            return codec.encode(embedding)
        except QuantizationError as error:
            error.about(ModelId.parse(model_id))
            raise

    def dequantize(self, quantized, out=None):
        """Return the embedding of a record, in `out` where the method can fill one."""
        decoder = self.decoder(quantized)
        return decoder.decode(quantized) if out is None else decoder.decode(quantized, out)

    def quantize_batch(self, model_id, embeddings, num_threads=1, out=None):
        """Return the QuantizedBatch of many embeddings; columns of the batch `out` are reused."""
        codec = self.codec(model_id)
        try:
            return codec.encode_batch(embeddings, num_threads, out)
        except QuantizationError as error:
            error.about(ModelId.parse(model_id))
            raise

    def dequantize_batch(self, batch, num_threads=1, out=None):
        """Return the embeddings of a batch, in `out` where one is given."""
        return self.decoder(batch).decode_batch(batch, num_threads, out=out)

    def expected_size(self, model_id, count=None):
        """Return the bytes of one record of `count` non-zeros or tokens, of values by profile."""
        return self.codec(model_id).expected_size(count)

    def measure_recall_loss(self, model_id, embeddings):
        """Return the mean loss of encoding embeddings, 1 - cosine; the worst is `.maximum`."""
        codec = self.codec(model_id)
        try:
            return RecallLoss.of(codec.loss(x, codec.decode(codec.encode(x))) for x in embeddings)
        except QuantizationError as error:
            error.about(ModelId.parse(model_id))
            raise

    def codec(self, model_id):
        """Return the codec of an embedder, made when first asked for.

        Raises MethodMismatch for an embedder of another method.
        """
        return self._codecs.get(model_id) or self._made(self._codecs, model_id, self._make)

    def compact_codec(self, model_id, step=0):
        """Return the codec that fingerprints use at a step of LADDER, 0 being the finest."""
        layout = LADDER[step].layouts.get(self.method)
        codecs = self._compact.setdefault(layout, {})
        codec = codecs.get(model_id)
        return codec or self._made(
            codecs, model_id, lambda dim, one: self._make_compact(dim, one, layout)
        )

    def decoder(self, quantized):
        """Return the codec that reads a record or batch, whose dimension travels with it.

        Raises MethodMismatch for those of another method.
        """
        if getattr(quantized, "method", None) is not self.method:
            self._refuse(quantized)
        codec = self._decoders.get(quantized.original_dim)
        if codec is None:
            if type(quantized.original_dim) is not int or quantized.original_dim < 1:
                reason = f"original_dim is {quantized.original_dim!r}"
                raise InvalidQuantizedData(method=self.method, reason=reason)
            if len(self._decoders) >= _MOST_DECODERS:
                self._decoders.clear()
            codec = self._decoders[quantized.original_dim] = self._make(quantized.original_dim)
        return codec

    def _refuse(self, quantized):
        actual = getattr(quantized, "method", type(quantized).__name__)
        raise MethodMismatch(expected=self.method, actual=actual)

    def _made(self, codecs, model_id, make):
        model_id = ModelId.parse(model_id)
        row = self.profile[model_id]
        if row.method is not self.method:
            raise MethodMismatch(model_id=model_id, expected=self.method, actual=row.method)
        if model_id not in codecs:
            codecs[model_id] = make(row.dimension, model_id)
        return codecs[model_id]

    @abstractmethod
    def _make(self, dim, model_id=None):
        """Return the codec of one dimension."""

    def _make_compact(self, dim, model_id, layout):
        return self.codec(model_id)


class Float8E4M3Encoder(Encoder):
    """One E4M3 code per value.

    >>> Float8E4M3Encoder().quantize(ModelId.GRAPH, [0.5] * 384).compression_ratio
    4.0
    """

    method = QuantizationMethod.FLOAT8_E4M3

    def _make(self, dim, model_id=None):
        return Float8Codec(dim)


class BinaryEncoder(Encoder):
    """One bit per value: 1 where it reaches the threshold.

    >>> BinaryEncoder().quantize(ModelId.HDC, [1.0, -1.0] * 512).data[:2].hex()
    'aaaa'
    """

    method = QuantizationMethod.BINARY

    def __init__(self, threshold=0.0, profile=None):
        super().__init__(profile)
        self.threshold = BinaryCodec(1, threshold).threshold

    def _make(self, dim, model_id=None):
        return BinaryCodec(dim, self.threshold)

    hamming_distance = staticmethod(hamming_distance)
    binary_similarity = staticmethod(binary_similarity)


class SparseNativeEncoder(Encoder):
    """The non-zeros of a SparseVector as (index, weight) pairs, exactly.

    >>> from cgcython import SparseVector
    >>> vector = SparseVector([7, 2], [0.5, 1.0], dimension=30522)
    >>> encoder = SparseNativeEncoder()
    >>> encoder.dequantize(encoder.quantize(ModelId.SPLADE, vector)) == vector
    True
    """

    method = QuantizationMethod.SPARSE_NATIVE

    def _make(self, dim, model_id=None):
        return SparseCodec(dim)

    def _make_compact(self, dim, model_id, layout):
        return SparseCodec(dim, layout)


class TokenPruningEncoder(Encoder):
    """The part `pruning_ratio` of the tokens of a text, those with the largest values.

    >>> quantized = TokenPruningEncoder(0.25).quantize(ModelId.LATE_INTERACTION, [[1.0] * 128] * 9)
    >>> quantized.metadata.kept_tokens, quantized.size_bytes
    (3, 1552)
    """

    method = QuantizationMethod.TOKEN_PRUNING

    def __init__(self, pruning_ratio=0.5, profile=None):
        super().__init__(profile)
        self.pruning_ratio = TokenPruningCodec(1, pruning_ratio).pruning_ratio

    def _make(self, dim, model_id=None):
        return TokenPruningCodec(dim, self.pruning_ratio)

    def _make_compact(self, dim, model_id, layout):
        scoring = ImportanceScoringMethod.COVERAGE
        if dim > WIDEST_TURNED:  # which have no smaller layout
            layout = LADDER[0].layouts[self.method]
        return TokenPruningCodec(dim, self.pruning_ratio, scoring, layout)


class PQ8Encoder(Encoder):
    """Eight bytes per embedding, each the nearest of 256 centroids of a trained codebook.

    A codebook given in a mapping brings its own dimension, unless a profile is given too.
    """

    method = QuantizationMethod.PQ8

    def __init__(self, codebooks=None, profile=None):
        super().__init__(profile)
        is_ready = isinstance(codebooks, Codebooks)
        self.codebooks = codebooks if is_ready else Codebooks(codebooks, profile)

    def require_all(self):
        """Load every codebook now. Raises CodebookMissing for the first that is missing."""
        self.codebooks.require()

    def expected_size(self, model_id, count=None):
        """Return the bytes of one record: one per part of the codebook, 8 until there is one.

        >>> PQ8Encoder().expected_size(ModelId.SEMANTIC)
        8
        """
        try:
            return super().expected_size(model_id, count)
        except CodebookMissing:
            return NUM_SUBVECTORS

    def decoder(self, quantized):
        """Return the codec of the codebook that made a record or batch."""
        if getattr(quantized, "method", None) is not self.method:
            self._refuse(quantized)
        if isinstance(quantized, QuantizedBatch):
            codebook_id = quantized.shared.get("codebook_id")
        else:
            codebook_id = getattr(quantized.metadata, "codebook_id", None)
        if not isinstance(codebook_id, int):
            reason = "it names no codebook"
            raise InvalidQuantizedData(method=self.method, reason=reason)
        codec = self._decoders.get(codebook_id)
        if codec is None:
            codec = self._decoders[codebook_id] = PQ8Codec(self.codebooks.by_id(codebook_id))
        return codec

    def _make(self, dim, model_id=None):
        return PQ8Codec(self.codebooks[model_id])
