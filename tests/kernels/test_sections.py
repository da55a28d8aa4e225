"""Framed rows are heads, payloads and zlib's checksum; stacked rows are what numpy stacks."""

import subprocess
import sys
import zlib
from itertools import pairwise

import numpy as np
import pytest
from looping import looped

RNG = np.random.default_rng(15)
F32, U8, U32 = np.float32, np.uint8, np.uint32
SIZES = [0, 3, 1, 0, 5000, 17]
EDGES = np.concatenate([[0], np.cumsum(SIZES)]).astype(np.int64)
DATA = RNG.integers(0, 256, EDGES[-1], dtype=U8)
VECTORS = [*RNG.standard_normal((700, 5), dtype=F32)]
MATRICES = [RNG.standard_normal((n, 5), dtype=F32) for n in (3, 0, 1, 400, 2)]


@looped("width", [0, 1, 18])
def test_rows_are_heads_payloads_and_checksums(kernel, width):
    heads, crcs = RNG.integers(0, 256, (len(SIZES), width), dtype=U8), np.empty(len(SIZES), U32)
    rows = kernel("sections").frame(heads, DATA, EDGES, crcs)
    parts = [DATA[start:stop].tobytes() for start, stop in pairwise(EDGES)]
    bodies = [head.tobytes() + part for head, part in zip(heads, parts)]
    assert rows == [body + zlib.crc32(body).to_bytes(4, "little") for body in bodies]
    assert crcs.tolist() == list(map(zlib.crc32, bodies))


def test_python_s_checksum_serves_where_c_finds_none():
    script = """if True:
        import zlib
        import numpy as np
        from cgcython import checksums
        checksums.address_in_c = lambda: 0
        from cgcython import kernels
        heads, crcs = np.full((2, 3), 7, np.uint8), np.empty(2, np.uint32)
        data, offsets = np.arange(9, dtype=np.uint8), np.array([0, 4, 9])
        rows = kernels.sections.frame(heads, data, offsets, crcs)
        bodies = [bytes([7, 7, 7, 0, 1, 2, 3]), bytes([7, 7, 7, 4, 5, 6, 7, 8])]
        assert rows == [one + zlib.crc32(one).to_bytes(4, "little") for one in bodies], rows
        assert crcs.tolist() == list(map(zlib.crc32, bodies))
    """
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": EDGES[:-1]}, "offsets holds 6, heads and one more holds 7"),
        ({"crcs": np.empty(7, U32)}, "crcs holds 7, heads holds 6"),
        ({"offsets": EDGES + 1}, "offsets leave 5021 rows"),
        ({"offsets": EDGES[[0, 2, 1, 3, 4, 5, 6]]}, "offsets fall at 1"),
    ],
)
def test_offsets_and_lengths_must_agree(kernel, change, message):
    given = {
        "heads": np.empty((6, 4), U8),
        "data": DATA,
        "offsets": EDGES,
        "crcs": np.empty(6, U32),
    }
    with pytest.raises(ValueError, match=message):
        kernel("sections").frame(**given | change)


@looped(("rows", "are_matrices"), [(VECTORS, False), (MATRICES, True), ([], False), ([], True)])
def test_rows_are_stacked(kernel, rows, are_matrices):
    expected = np.concatenate([np.empty((0, 5), F32), *(row.reshape(-1, 5) for row in rows)])
    out = np.full_like(expected, np.nan)
    assert kernel("sections").stack(rows, are_matrices, out)
    np.testing.assert_array_equal(out, expected)


ODD = [
    np.ones(5),
    np.ones(4, F32),
    np.ones((1, 5), F32),
    np.ones(10, F32)[::2],
    np.ones(5, ">f4"),
    np.ma.ones(5, F32),
    np.frombuffer(bytes(21), U8)[1:].view(F32),
    [1.0] * 5,
    None,
]


@looped("odd", ODD)
@looped("place", [0, 300])
def test_what_is_no_plain_row_is_left_to_others(kernel, odd, place):
    rows = list(VECTORS[:301])
    rows[place] = odd
    assert not kernel("sections").stack(rows, False, np.empty((301, 5), F32))


@looped("room", [405, 407])
def test_rows_must_fill_the_matrix(kernel, room):
    assert not kernel("sections").stack(MATRICES, True, np.empty((room, 5), F32))


def test_rows_come_in_a_list(kernel):
    with pytest.raises(TypeError):
        kernel("sections").stack(tuple(VECTORS), False, np.empty((700, 5), F32))
