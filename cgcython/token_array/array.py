"""The tokens of many documents in one array, each document a run of rows."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cgcython.arrays import require_finite
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.token_array import arrow, building, files, precisions
from cgcython.token_array.screen import Screen


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

    values: np.ndarray
    starts: np.ndarray
    counts: np.ndarray
    precision: str
    dim: int
    scales: np.ndarray | None
    codebook: Any
    screen: Screen | None

    def __init__(
        self,
        values,
        offsets,
        precision=None,
        *,
        dim=None,
        scales=None,
        codebook=None,
        finite=True,
    ):
        values, precision = building.as_stored(values, precision, finite)
        if values.ndim != 2:
            raise DimensionMismatch(expected=2, actual=values.ndim, what="dimensions of the array")
        dim = building.checked_dim(dim, values.shape[1], precision, codebook)
        offsets = building.checked_offsets(offsets, len(values))
        self.__dict__.update(
            values=values,
            starts=offsets[:-1],
            counts=np.diff(offsets),
            precision=precision.name,
            dim=dim,
            scales=building.checked_scales(scales, len(values), precision, finite),
            codebook=codebook,
            screen=None,
            _shared={},  # what views find out about the values, each for all
        )

    @classmethod
    def from_list(cls, documents, dim=None):
        """Return the tokens of a list of matrices, nested lists, CPU tensors or TokenEmbeddings."""
        return cls(*building.joined(documents, dim))

    @classmethod
    def from_padded(cls, values, lengths):
        """Return the tokens of an array [documents, longest, dim], without its padding.

        >>> TokenArray.from_padded([[[1.0], [2.0]], [[3.0], [0.0]]], lengths=[2, 1]).values.tolist()
        [[1.0], [2.0], [3.0]]
        """
        return cls(*building.without_padding(values, lengths))

    @classmethod
    def from_arrow(cls, column):
        """Return the tokens of a pyarrow column: lists (documents) of lists (tokens) of floats.

        Nothing is copied where tokens are fixed-size lists of float32. Raises InvalidInput for
        other types and for nulls, DimensionMismatch for tokens of different lengths.
        """
        return cls(*arrow.from_arrow(column))

    def to_arrow(self):
        """Return a pyarrow LargeListArray of fixed-size lists, which shares the values."""
        self.require_values()
        whole = self.compact()
        return arrow.to_arrow(whole.values, whole.offsets, whole.dim)

    @classmethod
    def load(cls, path, codebook=None, *, verify=False):
        """Return the tokens of a file that `save` wrote, mapped into memory and not read yet.

        Tokens of precision `pq` need their codebook. `verify` reads all and compares checksums.
        Raises StorageCorruption, UnsupportedVersion, CodebookMissing or InvalidInput.
        """
        return files.load(cls, path, codebook, verify)

    def save(self, path):
        """Write these documents to a safetensors file, whole or not at all; not the codebook."""
        files.save(self.compact(), path)

    def quantize(self, precision, codebook=None, num_threads=1):
        """Return these documents at another precision, coded from float32.

        >>> TokenArray.from_list([[[1, -2]], [[0.5, 3]]]).quantize("bfloat16").nbytes
        32
        """
        self.require_values()
        chosen, whole = precisions.precision_of(precision), self.compact()
        building.checked_dim(self.dim, chosen.width(self.dim), chosen, codebook, values=True)
        if chosen.name == "float32":
            return whole
        codes, scales = precisions.encode(whole.values, chosen, codebook, num_threads)
        return TokenArray(
            codes, whole.offsets, precision, dim=self.dim, scales=scales, codebook=codebook
        )

    def dequantize(self, num_threads=1):
        """Return these documents as float32; tokens without scales keep only their direction."""
        if self.precision == "float32":
            return self
        whole = self.compact()
        chosen = precisions.precision_of(self.precision)
        values = precisions.decode(
            whole.values, whole.scales, self.dim, chosen, self.codebook, num_threads
        )
        return TokenArray(values, whole.offsets)

    def with_screen(self, num_threads=1):
        """Return these documents with an int8 copy beside the float32 values.

        `max_sim_batch` returns the same bits with it, faster: dim + 8 bytes per token buy that.

        >>> TokenArray.from_list([[[1, -2]], [[0.5, 3]]]).with_screen().nbytes
        60
        """
        self.require_values()
        whole = self.compact()
        building.checked_dim(self.dim, self.dim, precisions.precision_of("int8"), None)
        require_finite(whole.values)
        screened = whole._view(whole.starts, whole.counts)
        screened.__dict__.update(screen=Screen.of(whole.values, whole.inverse_norms, num_threads))
        return screened

    def take(self, ids):
        """Return the documents of these ids, in their order; no token is copied."""
        ids = np.asarray(ids)
        if ids.ndim != 1 or not (ids.dtype.kind in "ui" or ids.size == 0):
            raise InvalidInput(what="ids", expected="a list of whole numbers", actual=ids)
        ids = ids.astype(np.int64, copy=False)
        outside = (ids < 0) | (ids >= len(self))
        if outside.any():
            actual = int(ids[outside][0])
            raise InvalidInput(what="ids", expected=f"0 to {len(self) - 1}", actual=actual)
        return self._view(self.starts[ids], self.counts[ids])

    def compact(self):
        """Return the same documents with values of their own, each once and in order.

        They are shared, not copied, where the documents already follow each other. A screen is
        left behind unless nothing changes.
        """
        counts = self.counts
        if self.is_contiguous:
            first = int(self.starts[0]) if len(self) else 0
            rows = slice(first, first + self.num_tokens)
            if rows == slice(0, len(self.values)):
                return self
        else:
            shift = np.repeat(self.starts - (np.cumsum(counts) - counts), counts)
            rows = np.arange(len(shift)) + shift
        scales = None if self.scales is None else self.scales[rows]
        kept = self._view(np.cumsum(counts) - counts, counts)
        kept.__dict__.update(values=self.values[rows], scales=scales, screen=None, _shared={})
        return kept

    def _view(self, starts, counts):
        view = object.__new__(TokenArray)
        view.__dict__.update({name: self.__dict__[name] for name in _FIELDS})
        view.__dict__.update(
            starts=np.ascontiguousarray(starts), counts=np.ascontiguousarray(counts)
        )
        return view

    def __len__(self):
        return len(self.counts)

    def __getitem__(self, index):
        """Return one document's rows, or for a slice of documents a TokenArray; no copies."""
        if isinstance(index, slice):
            return self._view(self.starts[index], self.counts[index])
        index = range(len(self))[index]
        start = self.starts[index]
        return self.values[start : start + self.counts[index]]

    def __iter__(self):
        spans = zip(self.starts.tolist(), self.counts.tolist())
        return (self.values[start : start + count] for start, count in spans)

    def __eq__(self, other):
        """Tell whether documents, precision, scales and codebook are the same, bit for bit."""
        if not isinstance(other, TokenArray):
            return NotImplemented
        if (self.precision, self.dim, self.codebook) != (
            other.precision,
            other.dim,
            other.codebook,
        ) or not np.array_equal(self.counts, other.counts):
            return False
        one, two = self.compact(), other.compact()
        same_scales = (one.scales is None) == (two.scales is None) and (
            one.scales is None or np.array_equal(one.scales, two.scales)
        )
        return same_scales and np.array_equal(one.values, two.values)

    __hash__ = None

    def __repr__(self):
        return (
            f"TokenArray(documents={len(self)}, tokens={self.num_tokens}, dim={self.dim}, "
            f"precision={self.precision}, nbytes={self.nbytes})"
        )

    @property
    def num_tokens(self):
        """The number of tokens of all documents."""
        return int(self.counts.sum())

    @property
    def nbytes(self):
        """The bytes of these documents: tokens, scales, screen and offsets."""
        per_token = self.values.shape[1] * self.values.itemsize
        per_token += 0 if self.scales is None else self.scales.itemsize
        per_token += 0 if self.screen is None else self.screen.bytes_per_token
        return self.num_tokens * per_token + 8 * (len(self) + 1)

    @cached_property
    def is_contiguous(self):
        """Whether each document begins where the one before ends."""
        return bool(np.array_equal(self.starts[1:], self.starts[:-1] + self.counts[:-1]))

    @property
    def offsets(self):
        """The bounds of the documents [documents + 1], as Arrow has them.

        Raises InvalidInput where documents do not follow each other: those of `compact()` do.
        """
        if not self.is_contiguous:
            expected = "documents that follow each other, as compact() returns"
            raise InvalidInput(what="tokens", expected=expected, actual="a selection")
        last = self.starts[-1:] + self.counts[-1:]
        return np.concatenate([self.starts, last if len(self) else [0]]).astype(np.int64)

    def require_values(self):
        """Raise InvalidInput where these are codes: they are scored, never taken for values."""
        if self.precision != "float32":
            raise InvalidInput(
                what="tokens",
                expected="float32 values, as dequantize() returns",
                actual=f"{self.precision} codes",
            )

    @cached_property
    def inverse_norms(self):
        """What MaxSim multiplies each token's products with; found once, for these documents.

        What stands at the rows of other documents means nothing.
        """
        known = self._shared.get("inverse_norms")
        if known is not None:
            return known
        out = np.empty(len(self.values), np.float32)
        if self.num_tokens >= len(self.values):
            self._write_norms(slice(None), out)
            return self._shared.setdefault("inverse_norms", out)
        for start, count in zip(self.starts.tolist(), self.counts.tolist()):
            self._write_norms(slice(start, start + count), out)
        return out

    def _write_norms(self, rows, out):
        scales = None if self.scales is None else self.scales[rows]
        norms = precisions.precision_of(self.precision).norms
        norms(self.values[rows], self, scales, out[rows])


_FIELDS = ("values", "precision", "dim", "scales", "codebook", "screen", "_shared")
