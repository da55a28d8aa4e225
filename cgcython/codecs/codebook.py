"""The codebook of a product quantizer: centroids, a rotation with its mean, an identity."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cgcython import kernels
from cgcython.arrays import as_float32, as_matrix, as_vector, require_finite
from cgcython.base import QuantizationMethod
from cgcython.codecs import codebook_file, training
from cgcython.codecs.base import output, require_finite_rows
from cgcython.errors import (
    CodebookCorrupt,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    RecallLossExceeded,
)
from cgcython.files import write_whole
from cgcython.kernels.pq_layout import NUM_CENTROIDS, prepare, scratch, squared_norms
from cgcython.parallel import split_rows


class SearchTables(NamedTuple):
    """The cosine of one query with any decoded vector, as sums over its codes.

    cosine = (dot_constant + sum of dots[m, code_m]) / sqrt(norm_constant + sum of norms[m, code_m])
    """

    dots: np.ndarray
    norms: np.ndarray
    dot_constant: float
    norm_constant: float


@dataclass(frozen=True, eq=False)
class PQ8Codebook:
    """256 centroids [M, 256, width / M] for each of M parts of a vector, one byte per part.

    With a rotation [dim, width] and a mean [dim], the parts are those of (x - mean) @ rotation.

    >>> book = PQ8Codebook(np.zeros((8, 256, 1)) + np.arange(256)[:, None])
    >>> book.quantize([0, 1, 2.4, 2.6, 255, 300, -9, 7]).hex()
    '00010203ffff0007'
    """

    centroids: np.ndarray
    rotation: np.ndarray | None = None
    mean: np.ndarray | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    method = QuantizationMethod.PQ8
    num_centroids = NUM_CENTROIDS

    def __post_init__(self):
        if (self.rotation is None) != (self.mean is None):
            raise InvalidInput(
                what="codebook", expected="a rotation and a mean, or neither", actual="one of them"
            )
        for name in ("centroids", "rotation", "mean"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _frozen(getattr(self, name)))
        try:
            prepared = prepare(self.centroids, self.mean, self.rotation)
        except ValueError as error:
            raise InvalidInput(what="codebook", expected="arrays that fit", actual=error) from None
        object.__setattr__(self, "prepared", prepared)
        object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))

    def __eq__(self, other):
        if not isinstance(other, PQ8Codebook):
            return NotImplemented
        return self.sha256 == other.sha256

    def __hash__(self):
        return self.codebook_id

    def __repr__(self):
        return (
            f"PQ8Codebook(embedding_dim={self.embedding_dim}, "
            f"num_subvectors={self.num_subvectors}, width={self.width}, "
            f"codebook_id={self.codebook_id:#010x})"
        )

    def __reduce__(self):
        return PQ8Codebook, (self.centroids, self.rotation, self.mean, dict(self.metadata))

    @property
    def embedding_dim(self):
        """The number of values of an embedding."""
        return self.prepared.dim

    @property
    def num_subvectors(self):
        """The number of parts, and of bytes per embedding."""
        return self.centroids.shape[0]

    @property
    def width(self):
        """The number of values after the rotation."""
        return self.centroids.shape[0] * self.centroids.shape[2]

    @property
    def cost(self):
        """The drop of Recall@10 where it was judged, else the held-out loss, else None."""
        return self.metadata.get("recall10_drop", self.metadata.get("held_out_loss"))

    @cached_property
    def sha256(self):
        """The hash of the arrays, in hexadecimal."""
        return codebook_file.contents_hash(self._tensors())

    @property
    def codebook_id(self):
        """The number that codes carry: 32 bits of the hash, never 0."""
        return int(self.sha256[:8], 16) or 1

    @classmethod
    def train(
        cls,
        samples,
        num_subvectors=8,
        seed=0,
        rotation="opq",
        *,
        width=None,
        sample=None,
        num_threads=1,
        progress=None,
        model="",
    ):
        """Return the codebook that suits samples [n, dim].

        Of more than `sample` (65,536) some are drawn, by seed; only these are read, so samples may
        be a memory map of any size. `rotation` is "opq" (principal axes balanced over the parts,
        then refined), "pca" (not refined) or None; `width` the number of values it keeps (chosen
        on held-out samples unless given). `progress(step, steps, loss)` hears of each step. The
        metadata holds the loss on held-out samples and how many of their ten nearest neighbours
        the codes keep, with 95 % intervals. Ctrl-C ends the training with the best codebook so
        far, `interrupted` in its metadata. Raises InvalidInput below 256 samples; warns below 9984.
        """
        found, facts = training.train(
            samples,
            num_subvectors=num_subvectors,
            seed=seed,
            rotation=rotation,
            width=width,
            sample=sample,
            num_threads=num_threads,
            progress=progress,
        )
        return cls(found.centroids, found.rotation, found.mean, {"model": model, **facts})

    def with_facts(self, facts):
        """Return the same codebook with more metadata."""
        return replace(self, metadata={**self.metadata, **facts})

    def quantize(self, values):
        """Return the codes of one embedding, one byte per part."""
        codes = kernels.pq.encode_vector(values, self.prepared)
        if codes is None:
            codes = kernels.pq.encode_vector(as_vector(values, self.embedding_dim), self.prepared)
        return codes

    def dequantize(self, codes):
        """Return the embedding that codes stand for.

        Raises InvalidQuantizedData for any other number of bytes.
        """
        if len(codes) != self.num_subvectors:
            raise InvalidQuantizedData(
                method=self.method, expected_bytes=self.num_subvectors, actual_bytes=len(codes)
            )
        return kernels.pq.decode_vector(bytes(codes), self.prepared)

    def encode(self, rows, *, num_threads=1, out=None):
        """Return the codes [n, M] of embeddings [n, dim]; raises NonFiniteValue."""
        rows = as_matrix(rows, self.embedding_dim, finite=False)
        codes = output(out, (len(rows), self.num_subvectors), np.uint8)

        def encode_range(start, stop):
            some, space = slice(start, stop), scratch(self.prepared)
            first = kernels.pq.encode_rows(rows[some], self.prepared, codes[some], space)
            require_finite_rows(first, rows[some], start)

        split_rows(encode_range, len(rows), num_threads)
        return codes

    def decode(self, codes, *, num_threads=1, out=None):
        """Return the embeddings [n, dim] of codes [n, M]."""
        codes = np.ascontiguousarray(codes)
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != self.num_subvectors:
            raise InvalidInput(
                what="codes",
                expected=f"u8 [n, {self.num_subvectors}]",
                actual=f"{codes.dtype} {codes.shape}",
            )
        rows = output(out, (len(codes), self.embedding_dim), np.float32)

        def decode_range(start, stop):
            some, space = slice(start, stop), scratch(self.prepared)
            kernels.pq.decode_rows(codes[some], self.prepared, rows[some], space)

        split_rows(decode_range, len(codes), num_threads)
        return rows

    def search_tables(self, query):
        """Return the tables whose sums over codes are the cosine of query with what they decode to.

        >>> book = PQ8Codebook(np.arange(8.0 * 256).reshape(8, 256, 1))
        >>> codes, cosines = np.zeros((1, 8), np.uint8), np.empty(1, np.float32)
        >>> kernels.adc.cosine(*book.search_tables(book.decode(codes)[0]), codes, cosines)
        >>> cosines.round(6)
        array([1.], dtype=float32)
        """
        query = as_vector(query, self.embedding_dim).astype(np.float64)
        query /= np.linalg.norm(query) or 1.0
        dot_constant, parts = 0.0, query
        if self.rotation is not None:
            dot_constant, parts = float(query @ self.mean), query @ self.rotation
        dots = np.empty((self.num_subvectors, NUM_CENTROIDS), np.float32)
        kernels.pq.dot_table(parts.astype(np.float32), self.prepared, dots)
        return SearchTables(dots, self._norms[0], dot_constant, self._norms[1])

    @cached_property
    def _norms(self):
        """The squared length of what codes decode to, as a table and a constant."""
        table, constant = squared_norms(self.centroids, self.mean, self.rotation)
        return table.astype(np.float32), constant

    def save(self, path, *, force=False):
        """Write the codebook to a safetensors file, whole or not at all.

        Raises RecallLossExceeded where its `cost` is over 5 %, unless forced.
        """
        cost, limit = self.cost, self.method.max_recall_loss()
        if cost is not None and cost > limit and not force:
            raise RecallLossExceeded(method=self.method, measured_loss=cost, max_loss=limit)
        write_whole(path, self.to_bytes())

    @classmethod
    def load(cls, path, embedding_dim=None):
        """Return the codebook of a file that `save` wrote.

        Raises CodebookMissing, CodebookCorrupt, or DimensionMismatch where it is for embeddings
        of another dimension.
        """
        return cls.from_bytes(codebook_file.read(path), embedding_dim, where=str(path))

    def to_bytes(self):
        """Return the bytes of the codebook's file."""
        own = {"dim": self.embedding_dim, "id": self.codebook_id}
        return codebook_file.to_bytes(self._tensors(), {**self.metadata, **own})

    @classmethod
    def from_bytes(cls, data, embedding_dim=None, *, where="bytes"):
        """Return the codebook of the bytes of a file; errors as in `load`."""
        tensors, facts = codebook_file.from_bytes(data, where)
        claims = facts.pop("dim", None), facts.pop("id", None)
        try:
            book = cls(**tensors, metadata=facts)
        except InvalidInput as error:
            raise CodebookCorrupt(where=where, reason=str(error)) from None
        if claims != (book.embedding_dim, book.codebook_id):
            raise CodebookCorrupt(where=where, reason="its metadata are of another codebook")
        if embedding_dim not in (None, book.embedding_dim):
            raise DimensionMismatch(
                expected=embedding_dim, actual=book.embedding_dim, what="values in the codebook"
            )
        return book

    def _tensors(self):
        named = {"centroids": self.centroids, "rotation": self.rotation, "mean": self.mean}
        return {name: array for name, array in named.items() if array is not None}


def _frozen(array):
    array = np.array(as_float32(array), order="C")
    require_finite(array)
    array.flags.writeable = False
    return array
