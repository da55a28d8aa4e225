"""Checks the bytes of a usearch index before usearch follows their links, which it does unchecked.

The layout is that of usearch 2: u32 rows and u32 bytes of a row, the rows, a head of 64 bytes, five
u64 (nodes, links of a node above the lowest level and on it, highest level, entry node), an i16
level for each node, then the nodes: u64 label, i16 level, and for each level from the lowest on
a u32 number of links and room for as many u32 nodes as it may have. An index of another release
begins its head with another version; it is not believed, and made anew.
"""

import struct
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cgcython.tensors import Malformed
from cgcython.types import Array, BoolArray, Int64Array, UInt8Array

_ROWS, _SIZES = struct.Struct("<II"), struct.Struct("<5Q")
_HEAD_BYTES = 64
_COUNTS = slice(17, 33)  # of a head: how many nodes are there and how many were removed
_NODE_HEAD = 10
_CHUNK = 1 << 15


class _Graph(NamedTuple):
    """The nodes of an index: where each begins, its level, and how many links a level has."""

    data: UInt8Array
    starts: Int64Array
    levels: Int64Array
    links: int  # above the lowest level
    lowest_links: int


def require_sound(data: UInt8Array, empty: UInt8Array, row_bytes: int, labels: int) -> None:
    """Raise Malformed unless every link of an index leads to a node of it.

    `data` is a saved index and `empty` one without rows of the same making; `labels` is how many
    labels were given, from 0 on.
    """
    rows, width = _unpacked(_ROWS, data, 0)
    at = _ROWS.size + rows * width
    _require(rows == 0 or width == row_bytes, "its rows are of another length")
    head, wanted = data[at : at + _HEAD_BYTES].copy(), empty[_ROWS.size :][:_HEAD_BYTES].copy()
    head[_COUNTS] = wanted[_COUNTS] = 0
    _require(np.array_equal(head, wanted), "it is of another making")
    graph = _graph_at(data, at + _HEAD_BYTES, rows)
    for start in range(0, rows, _CHUNK):
        some = slice(start, start + _CHUNK)
        _require_labels(graph._replace(starts=graph.starts[some]), labels)
        for level in range(int(graph.levels.max(initial=0)) + 1):
            _require_links(graph, some, level)


def _graph_at(data: UInt8Array, at: int, rows: int) -> _Graph:
    nodes, links, lowest_links, highest, entry = _unpacked(_SIZES, data, at)
    _require(nodes == rows, f"it has {nodes} nodes of {rows} rows")
    at += _SIZES.size
    _require(at + 2 * rows <= len(data), "its levels are cut off")
    levels = data[at : at + 2 * rows].view("<i2").astype(np.int64)
    _require(bool(np.all(levels >= 0)), "a level is negative")
    _require(links < 1 << 16 and lowest_links < 1 << 16, "a node has too many links")
    sizes = _NODE_HEAD + 4 + 4 * lowest_links + levels * (4 + 4 * links)
    ends = at + 2 * rows + np.cumsum(sizes)
    _require(int(ends[-1] if rows else at) == len(data), "its nodes do not fill it")
    entered = rows == 0 or (entry < rows and levels[entry] == highest == levels.max())
    _require(bool(entered), "its entry is no node of the highest level")
    return _Graph(data, ends - sizes, levels, links, lowest_links)


def _require_labels(graph: _Graph, labels: int) -> None:
    """Raise Malformed for a label that was never given; removed nodes have the largest of all."""
    found = _gathered(graph.data, graph.starts, 8).view("<u8")
    removed = np.iinfo(np.uint64).max
    _require(bool(np.all((found < labels) | (found == removed))), "a label was never given")


def _require_links(graph: _Graph, some: slice, level: int) -> None:
    mine = graph.levels[some] >= level
    starts = graph.starts[some][mine] + _NODE_HEAD
    room = graph.links if level else graph.lowest_links
    if level:
        starts += 4 + 4 * graph.lowest_links + (level - 1) * (4 + 4 * graph.links)
    found = _gathered(graph.data, starts, 4 + 4 * room).view("<u4")
    counts, nodes = found[:, :1], found[:, 1:]
    _require(bool(np.all(counts <= room)), "a node has more links than room")
    linked = nodes[np.arange(room) < counts]
    _require(bool(np.all(linked < len(graph.levels))), "a link leads to no node")
    _require(bool(np.all(_reach(graph, linked, level))), "a link leads to a node of a lower level")


def _reach(graph: _Graph, nodes: Array, level: int) -> BoolArray:
    found: BoolArray = graph.levels[nodes] >= level
    return found


def _gathered(data: UInt8Array, starts: Int64Array, width: int) -> UInt8Array:
    """Return the bytes from each place on, a row each."""
    if not len(starts):
        return np.empty((0, width), np.uint8)
    return np.ascontiguousarray(sliding_window_view(data, width)[starts])


def _unpacked(form: struct.Struct, data: UInt8Array, at: int) -> tuple[int, ...]:
    _require(at + form.size <= len(data), "it is cut off")
    return form.unpack(data[at : at + form.size].tobytes())


def _require(is_sound: bool, reason: str) -> None:
    if not is_sound:
        raise Malformed(f"the graph is damaged: {reason}")
