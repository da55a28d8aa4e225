"""Checksums of blocks tell damage in the bytes that are asked for, and only there."""

import numpy as np
import pytest

from cgcython.checksums import crc32
from cgcython.tensors import Blocks, Malformed, block_checksums
from cgcython.tensors.blocks import BLOCK

LARGE = np.random.default_rng(1).integers(0, 256, (3 * BLOCK + 77) // 7, np.uint8)
ARRAYS = {"wide": np.arange(2 * BLOCK // 8 + 5), "bytes": LARGE, "none": LARGE[:0]}


def blocks_of(arrays, checksums=None):
    return Blocks(arrays, block_checksums(ARRAYS) if checksums is None else checksums)


def test_each_block_of_each_array_has_its_checksum_in_the_order_of_names():
    found = block_checksums(ARRAYS)
    data = [ARRAYS[name].tobytes() for name in sorted(ARRAYS)]
    blocks = [one[at : at + BLOCK] for one in data for at in range(0, len(one), BLOCK)]
    assert found.tolist() == list(map(crc32, blocks))
    assert found.dtype == np.uint32


@pytest.mark.parametrize("at", [0, BLOCK - 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 39])
def test_damage_is_told_where_it_is_asked_for(at):
    wide = ARRAYS["wide"].copy()
    wide.view(np.uint8)[at] ^= 1
    blocks, damaged = blocks_of({**ARRAYS, "wide": wide}), at // BLOCK
    for block in range(3):
        first, last = block * BLOCK, min((block + 1) * BLOCK, wide.nbytes)
        ends = np.array([first, last - 8]), np.array([first + 8, last])
        if block == damaged:
            with pytest.raises(Malformed, match=f"the checksum of block {block} of wide differs"):
                blocks.require("wide", *ends)
        else:
            blocks.require("wide", *ends)
    with pytest.raises(Malformed, match=f"block {damaged} of wide"):
        blocks.require("wide", np.array([5]), np.array([wide.nbytes]))
    blocks.require("wide", np.array([at]), np.array([at]))  # no byte
    blocks.require("bytes", np.array([0]), np.array([len(LARGE)]))
    blocks.require("none", np.array([0]), np.array([0]))


def test_a_block_is_compared_once(monkeypatch):
    blocks, compared = blocks_of(ARRAYS), []
    monkeypatch.setattr(
        "cgcython.tensors.blocks.crc32", lambda data: compared.append(1) or crc32(data)
    )
    for _ in range(3):
        blocks.require("wide", np.array([8, 16, BLOCK]), np.array([16, 24, BLOCK + 8]))
    assert len(compared) == 2


@pytest.mark.parametrize("change", [lambda one: one[1:], lambda one: one.astype(np.int64)])
def test_checksums_of_other_arrays_are_refused(change):
    with pytest.raises(Malformed, match="blocks is"):
        blocks_of(ARRAYS, change(block_checksums(ARRAYS)))
