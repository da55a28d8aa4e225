"""The tokens of many documents in one array, each document a run of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, overload

import numpy as np

from cgcython.arrays import require_finite
from cgcython.errors import InvalidInput
from cgcython.parallel import require_threads
from cgcython.tensors import require_whole
from cgcython.token_array import arrow, building, files, joining, norms, runs
from cgcython.token_array.precisions import precision_made, precision_of
from cgcython.token_array.screen import Screen
from cgcython.types import (
    Array,
    ArrayLike,
    CodebookLike,
    Float32Array,
    Int64Array,
    StrPath,
    TokensLike,
)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class TokenArray:
    """Token values [total, width] and, for each document, its first row and number of rows.

    `TokenArray(values, offsets)` takes Arrow's layout of lists: document i is rows offsets[i] to
    offsets[i + 1]. Slices and `take` share the values. `precision` says what values are: float32
    numbers, or codes with their `scales` [total] (a cosine does not need them) or `codebook`;
    unless told, bytes are E4M3 codes. `finite=False` leaves values unread: tokens that are not
    finite are then never matched. Raises NonFiniteValue, DimensionMismatch or InvalidInput.

    >>> tokens = TokenArray.from_list([[[1, 0], [0, 1]], [[1, 1]]])
    >>> tokens
    TokenArray(documents=2, tokens=3, dim=2, precision=float32, nbytes=48)
    >>> tokens.take([1, 0]).counts.tolist(), tokens[1].tolist()
    ([1, 2], [[1.0, 1.0]])
    """

    values: Array  # [total, items per token]
    starts: Int64Array  # [documents]
    counts: Int64Array  # [documents]
    precision: str
    dim: int
    scales: Float32Array | None  # [total]
    codebook: CodebookLike | None
    screen: Screen | None
    _shared: dict[str, Float32Array]

    def __init__(
        self,
        values: ArrayLike,
        offsets: ArrayLike,
        precision: str | None = None,
        *,
        dim: int | None = None,
        scales: ArrayLike | None = None,
        codebook: CodebookLike | None = None,
        finite: bool = True,
    ) -> None:
        stored, chosen = building.as_stored(values, precision, finite)
        bounds = building.checked_offsets(offsets, len(stored))
        self.__dict__.update(
            values=stored,
            starts=bounds[:-1],
            counts=np.diff(bounds),
            precision=chosen.name,
            dim=building.checked_dim(dim, stored.shape[1], chosen, codebook),
            scales=building.checked_scales(scales, len(stored), chosen, finite),
            codebook=codebook,
            screen=None,
            _shared={},  # what views find out about the values, each for all
        )

    @classmethod
    def from_list(cls, documents: Iterable[TokensLike], dim: int | None = None) -> "TokenArray":
        """Return the tokens of a list of matrices, nested lists, CPU tensors or TokenEmbeddings."""
        return cls(*building.joined(documents, dim))

    @classmethod
    def from_padded(
        cls, values: ArrayLike, lengths: ArrayLike | None = None, *, mask: ArrayLike | None = None
    ) -> "TokenArray":
        """Return the tokens of an array [documents, longest, dim], without its padding.

        `lengths` [documents] counts the tokens at the beginning of each; or `mask` [documents,
        longest], a tokenizer's attention mask, is 1 where a token is one. A masked array needs
        neither.

        >>> TokenArray.from_padded([[[1.0], [2.0]], [[3.0], [0.0]]], lengths=[2, 1]).values.tolist()
        [[1.0], [2.0], [3.0]]
        """
        return cls(*building.without_padding(values, lengths, mask))

    @classmethod
    def concatenate(cls, arrays: "Iterable[TokenArray]") -> "TokenArray":
        """Return the documents of several arrays of one precision, dimension and codebook.

        >>> TokenArray.concatenate([TokenArray.from_list([[[1.0]]])] * 2)
        TokenArray(documents=2, tokens=2, dim=1, precision=float32, nbytes=32)
        """
        return joining.joined(cls, arrays)

    @classmethod
    def from_arrow(cls, column: Any) -> "TokenArray":
        """Return the tokens of a pyarrow column: lists (documents) of lists (tokens) of floats.

        Nothing is copied where tokens are fixed-size lists of float32. Raises InvalidInput for
        other types and for nulls, DimensionMismatch for tokens of different lengths.
        """
        return cls(*arrow.from_arrow(column))

    def to_arrow(self) -> Any:
        """Return a pyarrow LargeListArray of fixed-size lists, which shares the values."""
        self.require_values()
        whole = self.compact()
        return arrow.to_arrow(whole.values, whole.offsets, whole.dim)

    @classmethod
    def load(
        cls, path: StrPath, codebook: CodebookLike | None = None, *, verify: bool = False
    ) -> "TokenArray":
        """Return the tokens of a file that `save` wrote, mapped into memory and not read yet.

        Tokens of precision `pq` need their codebook. `verify` reads all and compares checksums.
        Raises StorageCorruption, UnsupportedVersion, FileUnavailable, CodebookMissing or
        InvalidInput.
        """
        return files.load(cls, path, codebook, verify)

    def save(self, path: StrPath) -> None:
        """Write these documents to a safetensors file, whole or not at all; not the codebook."""
        files.save(self.compact(), path)

    def quantize(
        self, precision: str, codebook: CodebookLike | None = None, num_threads: int = 1
    ) -> "TokenArray":
        """Return these documents at another precision, coded from float32.

        `sign` makes `hadamard_sign`, the signs after a Hadamard transform, which keep more.

        >>> TokenArray.from_list([[[1, -2]], [[0.5, 3]]]).quantize("bfloat16").nbytes
        32
        """
        self.require_values()
        chosen, threads = precision_made(precision), require_threads(num_threads)
        building.checked_dim(self.dim, chosen.width(self.dim), chosen, codebook, values=True)
        whole = self.compact()
        if chosen.name == "float32":
            return whole
        codes, scales = chosen.encode(whole.values, codebook, threads)
        return TokenArray(
            codes, whole.offsets, chosen.name, dim=self.dim, scales=scales, codebook=codebook
        )

    def dequantize(self, num_threads: int = 1) -> "TokenArray":
        """Return these documents as float32; tokens without scales keep only their direction."""
        threads = require_threads(num_threads)
        if self.precision == "float32":
            return self
        whole, chosen = self.compact(), precision_of(self.precision)
        values = chosen.decode(whole.values, whole.scales, self.dim, self.codebook, threads)
        return TokenArray(values, whole.offsets)

    def with_screen(self, num_threads: int = 1) -> "TokenArray":
        """Return these documents with an int8 copy beside the float32 values.

        `max_sim_batch` returns the same bits with it, faster: dim + 8 bytes per token buy that.

        >>> TokenArray.from_list([[[1, -2]], [[0.5, 3]]]).with_screen().nbytes
        60
        """
        self.require_values()
        whole = self.compact()
        building.checked_dim(self.dim, self.dim, precision_of("int8"), None)
        require_finite(whole.values)
        screened = whole._view(whole.starts, whole.counts)
        screened.__dict__.update(screen=Screen.of(whole.values, whole.inverse_norms, num_threads))
        return screened

    def take(self, ids: ArrayLike) -> "TokenArray":
        """Return the documents of these ids, in their order; no token is copied.

        Raises InvalidInput.
        """
        chosen = runs.checked_ids(ids, len(self))
        return self._view(self.starts[chosen], self.counts[chosen])

    def compact(self) -> "TokenArray":
        """Return the same documents with values of their own, each once and in order.

        They are shared, not copied, where the documents already follow each other. A screen is
        left behind unless nothing changes.
        """
        self.require_whole()
        rows, counts = runs.rows_of(self.starts, self.counts), self.counts
        if isinstance(rows, slice) and rows == slice(0, len(self.values)):
            return self
        scales = None if self.scales is None else self.scales[rows]
        kept = self._view(np.cumsum(counts) - counts, counts)
        kept.__dict__.update(values=self.values[rows], scales=scales, screen=None, _shared={})
        return kept

    def _view(self, starts: Int64Array, counts: Int64Array) -> "TokenArray":
        view = object.__new__(TokenArray)
        view.__dict__.update({name: self.__dict__[name] for name in _FIELDS})
        view.__dict__["starts"] = np.ascontiguousarray(starts)
        view.__dict__["counts"] = np.ascontiguousarray(counts)
        return view

    def __len__(self) -> int:
        return len(self.counts)

    @overload
    def __getitem__(self, index: slice) -> "TokenArray": ...
    @overload
    def __getitem__(self, index: int) -> Array: ...
    def __getitem__(self, index: int | slice) -> "TokenArray | Array":
        """Return one document's rows, or for a slice of documents a TokenArray; no copies."""
        if isinstance(index, slice):
            return self._view(self.starts[index], self.counts[index])
        document = range(len(self))[index]
        start = self.starts[document]
        return self.values[start : start + self.counts[document]]

    def __iter__(self) -> Iterator[Array]:
        spans = zip(self.starts.tolist(), self.counts.tolist())
        return (self.values[start : start + count] for start, count in spans)

    def __eq__(self, other: object) -> bool:
        """Tell whether documents, precision, scales and codebook are the same."""
        if not isinstance(other, TokenArray):
            return NotImplemented
        kinds = [(one.precision, one.dim, one.codebook) for one in (self, other)]
        if kinds[0] != kinds[1] or not np.array_equal(self.counts, other.counts):
            return False
        one, two = self.compact(), other.compact()
        if one.scales is None or two.scales is None:
            return one.scales is two.scales and np.array_equal(one.values, two.values)
        return np.array_equal(one.scales, two.scales) and np.array_equal(one.values, two.values)

    __hash__: ClassVar[None]  # type: ignore[assignment]  # equal contents may change under it

    def __repr__(self) -> str:
        return (
            f"TokenArray(documents={len(self)}, tokens={self.num_tokens}, dim={self.dim}, "
            f"precision={self.precision}, nbytes={self.nbytes})"
        )

    @property
    def num_tokens(self) -> int:
        """The number of tokens of all documents."""
        return int(self.counts.sum())

    @property
    def nbytes(self) -> int:
        """The bytes of these documents: tokens, scales, screen and offsets."""
        per_token = int(self.values.shape[1]) * self.values.itemsize
        per_token += 0 if self.scales is None else self.scales.itemsize
        per_token += 0 if self.screen is None else self.screen.bytes_per_token
        return self.num_tokens * per_token + 8 * (len(self) + 1)

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether each document begins where the one before ends."""
        return runs.are_contiguous(self.starts, self.counts)

    @property
    def offsets(self) -> Int64Array:
        """The bounds of the documents [documents + 1], as Arrow has them.

        Raises InvalidInput where documents do not follow each other: those of `compact()` do.
        """
        return runs.offsets_of(self.starts, self.counts)

    def require_values(self) -> None:
        """Raise InvalidInput where these are codes: they are scored, never taken for values."""
        if self.precision != "float32":
            expected, actual = "float32 values, as dequantize() returns", f"{self.precision} codes"
            raise InvalidInput(what="tokens", expected=expected, actual=actual)

    def require_whole(self) -> None:
        """Raise StorageCorruption if the file in which tokens are mapped was cut short since."""
        require_whole(self.values)

    @cached_property
    def inverse_norms(self) -> Float32Array:
        """What MaxSim multiplies each token's products with; found once, for these documents.

        What stands at the rows of other documents means nothing.
        """
        return norms.inverse_norms(self, self._shared)


_FIELDS = ("values", "precision", "dim", "scales", "codebook", "screen", "_shared")
