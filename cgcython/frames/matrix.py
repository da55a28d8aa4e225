"""Equally long sections as columns, so that many are read by few calls."""

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgcython.checksums import RESIDUE, crc32
from cgcython.errors import InvalidInput
from cgcython.frames.layouts import HEAD, U32, Layout, layout_of_number
from cgcython.frames.sections import OVERHEAD

if TYPE_CHECKING:
    from cgcython.types import Array, BytesLike, UInt8Array


class SectionMatrix(NamedTuple):
    """Equally long sections of one layout and dimension, part by part.

    `fields` is a structured array [n] of the metadata that sections of the layout store, such as
    `fields["scale"]`; `data` is u8 [n, bytes of data]. Both are read-only and may be strided.
    """

    layout: Layout
    dimension: int
    fields: "Array"
    data: "UInt8Array"


def are_whole(sections: Iterable["BytesLike"]) -> bool:
    """Return whether each of some sections ends in its own checksum."""
    return set(map(crc32, sections)) <= {RESIDUE}


def layout_number(section: "BytesLike") -> int:
    """Return the number of a section's layout."""
    return section[1]


def data_start(number: int, fields: int | None = None) -> int:
    """Return where the data begin in sections of a layout.

    Given a number of `fields`, return instead where the metadata after so many of them begin.

    >>> data_start(1), data_start(1, fields=0)
    (18, 10)
    """
    layout = _known(number)
    if fields is None:
        return layout.head.size
    return struct.calcsize(HEAD.format + layout.fields.format.removeprefix("<")[:fields])


def as_matrix(sections: Sequence["BytesLike"]) -> SectionMatrix | None:
    """Return the SectionMatrix of one or more sections, or None where their heads differ.

    Checksums and contents are not looked at.
    """
    first = sections[0]
    _, number, dimension, length = HEAD.unpack_from(first)
    layout = layout_of_number(number)
    if layout is None or length < layout.fields.size or len(first) != OVERHEAD + length:
        return None
    if set(map(len, sections)) != {len(first)}:
        return None
    matrix = np.frombuffer(b"".join(sections), np.uint8).reshape(len(sections), len(first))
    if np.any(matrix[:, : HEAD.size] != matrix[0, : HEAD.size]):
        return None
    fields = _fields(layout, matrix[:, HEAD.size : layout.head.size])
    return SectionMatrix(layout, dimension, fields, matrix[:, layout.head.size : -U32.size])


@lru_cache
def head_type(number: int) -> "np.dtype[np.void]":
    """Return the structured type of what stands before the data of sections of a layout.

    >>> head_type(1).names
    ('embedder', 'layout', 'dimension', 'length', 'scale', 'bias')
    """
    layout = _known(number)
    head = [("embedder", "u1"), ("layout", "u1"), ("dimension", "<u4"), ("length", "<u4")]
    return np.dtype(head + _stored(layout))


def _known(number: int) -> Layout:
    layout = layout_of_number(number)
    if layout is None:
        raise InvalidInput(what="layout", expected="a known number", actual=number)
    return layout


def _fields(layout: Layout, stored: "UInt8Array") -> "Array":
    return np.ndarray(len(stored), np.dtype(_stored(layout)), np.ascontiguousarray(stored))


def _stored(layout: Layout) -> list[tuple[str, str]]:
    """Return names and types of the metadata that a layout stores."""
    formats, names = layout.fields.format.removeprefix("<"), layout.kind._fields[layout.stored]
    return [(name, "<" + one) for name, one in zip(names, formats)]
