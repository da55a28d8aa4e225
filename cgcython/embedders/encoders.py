"""The encoders that bear the seeds' names, one per method of this package, and all by method."""

from typing import Any

from cgcython.base import ProfileName, QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.codecs.binary import BinaryCodec, binary_similarity, hamming_distance
from cgcython.codecs.jaccard import jaccard_similarity
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.embedders.codebooks import Codebooks, CodebookSource
from cgcython.embedders.encoder import Encoder


class Float8E4M3Encoder(Encoder):
    """One E4M3 code per value.

    >>> from cgcython import ModelId
    >>> Float8E4M3Encoder().quantize(ModelId.GRAPH, [0.5] * 384).compression_ratio
    4.0
    """

    def __init__(self, profile: ProfileName | None = None) -> None:
        super().__init__(QuantizationMethod.FLOAT8_E4M3, profile)


class BinaryEncoder(Encoder):
    """One bit per value: 1 where it reaches the threshold.

    >>> from cgcython import ModelId
    >>> BinaryEncoder().quantize(ModelId.HDC, [1.0, -1.0] * 512).data[:2].hex()
    'aaaa'
    """

    def __init__(self, threshold: float = 0.0, profile: ProfileName | None = None) -> None:
        self.threshold = BinaryCodec(1, threshold).threshold
        super().__init__(QuantizationMethod.BINARY, profile, threshold=self.threshold)

    hamming_distance = staticmethod(hamming_distance)
    binary_similarity = staticmethod(binary_similarity)
    jaccard_similarity = staticmethod(jaccard_similarity)


class SparseNativeEncoder(Encoder):
    """The non-zeros of a SparseVector as (index, weight) pairs, exactly.

    >>> from cgcython import ModelId, SparseVector
    >>> vector = SparseVector([7, 2], [0.5, 1.0], dimension=30522)
    >>> encoder = SparseNativeEncoder()
    >>> encoder.dequantize(encoder.quantize(ModelId.SPLADE, vector)) == vector
    True
    """

    def __init__(self, profile: ProfileName | None = None) -> None:
        super().__init__(QuantizationMethod.SPARSE_NATIVE, profile)


class TokenPruningEncoder(Encoder):
    """The part `pruning_ratio` of the tokens of a text, those with the largest values.

    >>> from cgcython import ModelId
    >>> quantized = TokenPruningEncoder(0.25).quantize(ModelId.LATE_INTERACTION, [[1.0] * 128] * 9)
    >>> quantized.metadata.kept_tokens, quantized.size_bytes
    (3, 1552)
    """

    def __init__(self, pruning_ratio: float = 0.5, profile: ProfileName | None = None) -> None:
        self.pruning_ratio = TokenPruningCodec(1, pruning_ratio).pruning_ratio
        method = QuantizationMethod.TOKEN_PRUNING
        super().__init__(method, profile, pruning_ratio=self.pruning_ratio)


class PQ8Encoder(Encoder):
    """Eight bytes per embedding, each the nearest of 256 centroids of a trained codebook.

    A codebook given in a mapping brings its own dimension, unless a profile is given too.

    >>> PQ8Encoder().expected_size("E1")
    8
    """

    def __init__(
        self, codebooks: CodebookSource | None = None, profile: ProfileName | None = None
    ) -> None:
        super().__init__(QuantizationMethod.PQ8, profile, codebooks)

    def require_all(self) -> None:
        """Load every codebook now. Raises CodebookMissing for the first that is missing."""
        self.codebooks.require()


class Encoders(dict[QuantizationMethod, Encoder]):
    """The encoder of each method, made when first asked for, with the settings that it takes."""

    def __init__(self, profile: ProfileName, codebooks: Codebooks, **settings: Any) -> None:
        super().__init__()
        self._profile, self._codebooks, self._settings = profile, codebooks, settings

    def __missing__(self, method: QuantizationMethod) -> Encoder:
        taken = codec_class(method).settings
        settings = {name: value for name, value in self._settings.items() if name in taken}
        encoder = self[method] = Encoder(method, self._profile, self._codebooks, **settings)
        return encoder
