"""Rows of batches: embeddings out of columns, without a call for each, and texts by number."""

from collections.abc import Iterable, Iterator
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cgcython.arrays import as_tokens
from cgcython.checks import iterated
from cgcython.records import QuantizedEmbedding
from cgcython.token_array import TokenArray
from cgcython.types import Int64Array, UInt8Array

if TYPE_CHECKING:
    from cgcython.codecs.base import Codec

_Kind = TypeVar("_Kind")


def embeddings_of(
    codec: "Codec", data: Iterable[bytes], metadata: Iterable[Any]
) -> list[QuantizedEmbedding]:
    """Return the quantized embeddings of a codec from their bytes and as many metadata."""
    return list(map(QuantizedEmbedding, repeat(codec.method), repeat(codec.dim), data, metadata))


def numbered(documents: Any) -> Any:
    """Return token matrices that have numbers; what a generator yields is copied.

    A generator may fill one buffer again and again. Raises InvalidInput for codes and for what has
    no items.
    """
    if isinstance(documents, TokenArray):
        documents.require_values()
        return documents
    has_rows = isinstance(documents, np.ndarray) and documents.ndim > 0
    if has_rows or isinstance(documents, (list, tuple)):
        return documents
    return [as_tokens(one).copy() for one in iterated(documents, "documents")]


def tuples_of(kind: type[_Kind], *columns: Iterable[Any]) -> Iterator[_Kind]:
    """Iterate over named tuples of a kind; their own constructor, which is Python, is slow."""
    new: Any = tuple.__new__
    return map(new, repeat(kind), zip(*columns))


def payloads(codes: UInt8Array) -> list[bytes]:
    """Return the bytes of each row of a matrix of codes."""
    data, width = codes.tobytes(), codes.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


def payloads_at(data: UInt8Array, offsets: Int64Array) -> list[bytes]:
    """Return the bytes between each two offsets."""
    whole = data.tobytes()
    return [whole[start:stop] for start, stop in pairwise(offsets.tolist())]
