"""Says whether a store can hold an encoded embedding: by its profile, and by decoding it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from cgcython.base import EmbedderId, Profile, QuantizationMethod
from cgcython.codecs.codebook_base import Codebook
from cgcython.errors import DimensionMismatch, MethodMismatch, QuantizationError
from cgcython.fingerprint import Form
from cgcython.metadata import codebook_id_of
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter


def misfit(
    profile: Profile, model_id: EmbedderId, method: QuantizationMethod, dimension: int
) -> str | None:
    """Return why an embedding is none of the profile's, or None where it is one.

    >>> from cgcython import ModelId, Profile, QuantizationMethod
    >>> misfit(Profile.named("default"), ModelId.HDC, QuantizationMethod.BINARY, 1000)
    'of 1000 values, the profile has 1024'
    """
    row = profile.get(model_id)
    if row is None:
        return "of an embedder that the profile does not have"
    if method is not row.method:
        return f"kept as {method}, the profile has {row.method}"
    if dimension != row.dimension:
        return f"of {dimension} values, the profile has {row.dimension}"
    return None


def require_fit(profile: Profile, forms: Mapping[EmbedderId, Form]) -> None:
    """Raise InvalidInput, MethodMismatch or DimensionMismatch where a record is not the profile's.

    Whatever the profile cannot hold would be in the way of every search.
    """
    known = profile.forms
    for model_id, (method, dimension, _) in forms.items():
        if known.get(model_id) == (method, dimension):
            continue
        row = profile[model_id]
        if method is not row.method:
            raise MethodMismatch(model_id=model_id, expected=row.method, actual=method)
        if dimension != row.dimension:
            expected, actual = row.dimension, dimension
            raise DimensionMismatch(model_id=model_id, expected=expected, actual=actual)


class Decoding:
    """Says what keeps embeddings that are whole from being decoded."""

    def __init__(self, profile: Profile, codebooks: Iterable[Codebook]) -> None:
        self.profile, self._router = profile, QuantizationRouter({}, profile)
        self._codebooks = {one.codebook_id: one for one in codebooks}
        self.waiting = Counter[int]()  # how many embeddings need a codebook that is not given

    def wrong(self, model_id: EmbedderId, quantized: QuantizedEmbedding) -> str | None:
        """Return why an embedding is of no use here, or None where it is, its codebook given."""
        reason = misfit(self.profile, model_id, quantized.method, quantized.original_dim)
        if reason is not None:
            return reason
        codebook_id = codebook_id_of(quantized.metadata)
        if codebook_id is not None:
            return self._wrong_codes(quantized, codebook_id)
        try:
            self._router.dequantize(quantized)
        except QuantizationError as error:
            return f"not to be decoded ({error})"
        return None

    def missing_codebook(self, quantized: QuantizedEmbedding) -> int | None:
        """Return the id of the codebook that an embedding needs and that is not given."""
        codebook_id = codebook_id_of(quantized.metadata)
        if codebook_id is None or codebook_id in self._codebooks:
            return None
        self.waiting[codebook_id] += 1
        return codebook_id

    def _wrong_codes(self, quantized: QuantizedEmbedding, codebook_id: int) -> str | None:
        """Return what is wrong with codes; any values of the right number can be decoded."""
        codebook = self._codebooks.get(codebook_id)
        if codebook is None:
            return None
        codes, dim = codebook.code_size, codebook.embedding_dim
        if (len(quantized.data), quantized.original_dim) == (codes, dim):
            return None
        return f"not of its codebook, which is for {dim} values in {codes} codes"
