"""What a codec is: the one declaration of a method, and what it promises."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from cgcython import frames, methods
from cgcython.arrays import as_vector, usual_arithmetic
from cgcython.base import Embedder, EmbedderId, QuantizationMethod
from cgcython.codecs.framing import Payloads, Sections, framed, one_by_one
from cgcython.errors import InvalidQuantizedData
from cgcython.records import QuantizedBatch, QuantizedEmbedding
from cgcython.tensors import ArrayForm
from cgcython.types import Array, ArrayLike

if TYPE_CHECKING:
    from cgcython.codecs.codebook_base import Codebook

_MUST_DECLARE = ("layouts", "inputs", "columns", "ratio", "max_loss")


class InputKind(Enum):
    """What a method encodes: vectors, the non-zeros of vectors, or the tokens of texts.

    Batches of them are a matrix [n, dim], CSR columns (indptr, indices, weights, dimension) or a
    list of matrices [tokens, dim].
    """

    DENSE = "dense"
    SPARSE = "sparse"
    TOKENS = "tokens"


class Codec(ABC):
    """How one method turns embeddings into bytes and back, for one configuration.

    A codec is a frozen dataclass: equal codecs make equal bytes of equal embeddings, on every
    machine and with any number of threads. It knows no embedder and no file. Defining a subclass
    with a `method` declares that method: `codec_class` finds it, and `frames` knows its layouts.
    A subclass without one shares code.

    `layouts`: the frames.Layout of every form its bytes may have.
    `inputs`: what it encodes.
    `columns`: the columns of its batches, by name: dtype and shape, which are checked when a batch
    is read from a file. Axes may be called `rows`, `ends` (one more than rows), `dim`, `bits` (dim
    in whole bytes), by the name of a number that the batch shares, or by any other name. Each
    column has a row per embedding, except where the method is `ragged`: then embedding i is
    `data[offsets[i]:offsets[i + 1]]`.
    `shared`: the names of the metadata that all rows of a batch have in common.
    `ratio` and `max_loss`: how many times smaller it makes float32 values, nominally, and the loss
    it may cost, as a fraction.
    `needs_codebook`: whether its codes need a trained Codebook, whose id is `codebook_id` in the
    metadata and in what a batch shares; one of `codebook_kind`, the method that trains it.
    `untrained_bytes` of an embedding are expected before.
    `settings`: the arguments of its constructor, besides the dimension, that a caller may choose.
    `row_settings`: what a profile's row may say besides, by each spelling of its name.
    """

    method: ClassVar[QuantizationMethod]
    layouts: ClassVar[tuple[frames.Layout, ...]]
    inputs: ClassVar[InputKind]
    columns: ClassVar[Mapping[str, ArrayForm]]
    shared: ClassVar[tuple[str, ...]] = ()
    ratio: ClassVar[float]
    max_loss: ClassVar[float]
    ragged: ClassVar[bool] = False
    needs_codebook: ClassVar[bool] = False
    codebook_kind: ClassVar[str] = "pq8"
    untrained_bytes: ClassVar[int] = 0
    settings: ClassVar[tuple[str, ...]] = ()
    row_settings: ClassVar[Mapping[str, methods.RowSetting]] = {}

    if TYPE_CHECKING:

        @property
        def dim(self) -> int:
            """The number of values of an embedding (vocabulary size, values per token)."""

        @property
        def layout(self) -> str | None:
            """The name of the layout that `encode` aims at, where the method has several."""

    else:
        layout = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "method" in cls.__dict__:
            missing = [name for name in _MUST_DECLARE if not hasattr(cls, name)]
            if missing:
                raise TypeError(f"{cls.__name__} does not declare {', '.join(missing)}")
            frames.declare(cls.layouts, own=cls.__module__.startswith("cgcython."))
            methods.declare(cls.method.value, cls)

    @property
    def config(self) -> dict[str, Any]:
        """All that the bytes depend on, besides the embedding: the fields, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}  # type: ignore[arg-type]  # a dataclass

    @classmethod
    def for_dimension(cls, dim: int, codebook: "Codebook | None" = None, **settings: Any) -> Self:
        """Return the codec of embeddings of `dim` values; `codebook` where it needs one."""
        make: Any = cls
        return make(dim, **settings)  # type: ignore[no-any-return]

    @classmethod
    def for_row(cls, row: Embedder, codebook: "Codebook | None" = None, **settings: Any) -> Self:
        """Return the codec of a profile's row; settings are those that the row leaves open."""
        own = cls._arguments_of(row, "argument")
        return cls.for_dimension(row.dimension, codebook, **(settings | own))

    def compact_for(self, row: Embedder, step: int, **settings: Any) -> "Codec":
        """Return `compact` of a step, with what a profile's row says of fingerprints.

        `settings` are those that the row leaves open, as in `for_row`.
        """
        codec, own = self.compact(step), self._arguments_of(row, "compact_argument")
        return replace(codec, **own) if own else codec  # type: ignore[type-var]  # a dataclass

    @classmethod
    def _arguments_of(cls, row: Embedder, kind: str) -> dict[str, Any]:
        known = {one.name: one for one in cls.row_settings.values()}
        found = [(known[name], value) for name, value in dict(row.settings).items()]
        return {
            getattr(one, kind): one.value_of(value) for one, value in found if getattr(one, kind)
        }

    def compact(self, step: int) -> "Codec":
        """Return the codec for a fingerprint at a step of embedders.ladder, 0 being the finest.

        A later step makes no more bytes. By default there is one form for all.
        """
        return self

    @abstractmethod
    def encode(self, embedding: Any) -> QuantizedEmbedding:
        """Return the QuantizedEmbedding of one embedding.

        Raises DimensionMismatch for another dimension, NonFiniteValue for NaN and infinities.
        """

    @abstractmethod
    def decode(self, quantized: QuantizedEmbedding, out: Any = None) -> Any:
        """Return the embedding, float32, in the array `out` where one is given.

        Whatever `encode` did not write raises MethodMismatch, DimensionMismatch or
        InvalidQuantizedData, and nothing else.
        """

    @abstractmethod
    def encode_batch(
        self, embeddings: Any, num_threads: int = 1, out: QuantizedBatch | None = None
    ) -> QuantizedBatch:
        """Return the batch of many embeddings, each as `encode` has it.

        `out` is a batch of the same sizes, whose columns may be reused.
        """

    @abstractmethod
    def decode_batch(self, batch: QuantizedBatch, num_threads: int = 1, out: Any = None) -> Any:
        """Return the embeddings of a batch, each as `decode` has it; errors as there."""

    @abstractmethod
    def row(self, batch: QuantizedBatch, i: int) -> QuantizedEmbedding:
        """Return embedding i of a batch, equal to what `encode` returns."""

    def rows(self, batch: QuantizedBatch) -> list[QuantizedEmbedding]:
        """Return all embeddings of a batch."""
        return [self.row(batch, i) for i in range(len(batch))]

    def sections(self, batch: QuantizedBatch, embedder: EmbedderId | None = None) -> Sections:
        """Return the section of each embedding of a batch, as `frames.write_section` has it.

        Raises InvalidQuantizedData for rows that contradict themselves.
        """
        payloads = self.payloads(batch)
        if payloads is None:
            return one_by_one(self.rows(batch), embedder)
        return framed(payloads, embedder)

    def payloads(self, batch: QuantizedBatch) -> Payloads | None:
        """Return what sections hold of a batch, checked as `rows` does.

        None, which is the default, means that each section has to be looked at by itself.
        """
        return None

    @abstractmethod
    def expected_size(self, count: int | None = None) -> int:
        """Return the bytes of data of one embedding, of `count` non-zeros or tokens."""

    def loss(self, original: Any, decoded: Any) -> float:
        """Return what decoding gave away of an embedding, as a fraction: 1 - cosine."""
        return cosine_loss(original, decoded)

    @classmethod
    def float32_bytes(cls, original_dim: int, metadata: Any) -> int:
        """Return the bytes of one embedding as float32 values, pairs or tokens."""
        return 4 * original_dim

    @classmethod
    def batch_float32_bytes(cls, batch: QuantizedBatch) -> int:
        """Return the bytes of a batch's embeddings as float32 values, pairs or tokens."""
        return 4 * batch.original_dim * len(batch)

    @classmethod
    def count_rows(cls, columns: Mapping[str, Array]) -> int:
        """Return the number of embeddings in the columns of a batch.

        Raises InvalidQuantizedData where the column that tells is missing or has no end.
        """
        name = "offsets" if cls.ragged else next(iter(cls.columns))
        if name not in columns:
            raise InvalidQuantizedData(method=cls.method, reason=f"a batch without column {name}")
        count = len(columns[name]) - cls.ragged
        if count < 0:
            raise InvalidQuantizedData(method=cls.method, reason=f"column {name} is empty")
        return count


def codec_class(method: QuantizationMethod | str) -> type[Codec]:
    """Return the class that declares a method; raises InvalidInput for an unknown one.

    >>> codec_class("binary")
    <class 'cgcython.codecs.binary.BinaryCodec'>
    """
    found: Any = methods.declaration(QuantizationMethod.named(method).value)
    return found  # type: ignore[no-any-return]


def codec_of(codebook: "Codebook") -> Codec:
    """Return the codec whose codes are those of a codebook."""
    return codec_class(codebook.method).for_dimension(codebook.embedding_dim, codebook)


@usual_arithmetic
def cosine_loss(original: ArrayLike, decoded: ArrayLike) -> float:
    """Return 1 - cosine of two vectors; 0.0 where both are zero, 1.0 where one is."""
    one = as_vector(original)
    a, b = one.astype(np.float64), as_vector(decoded, len(one)).astype(np.float64)
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    if norms == 0:
        return 0.0 if not a.any() and not b.any() else 1.0
    return float(1 - a @ b / norms)
