"""Sections written from columns are refused where sections written one by one are."""

import numpy as np
import pytest

from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.framing import framed, of_codes
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.errors import InvalidInput, InvalidQuantizedData
from cgcython.records import QuantizedBatch, SparseVector

VALUES = np.ones((3, 8), np.float32)


def changed(batch, **shared):
    return QuantizedBatch(batch.method, batch.original_dim, batch.columns, shared)


def test_a_scale_that_is_not_finite_is_refused():
    batch = Float8Codec(8).encode_batch(VALUES)
    batch.columns["scales"][1] = np.inf
    with pytest.raises(InvalidQuantizedData, match="scale is inf"):
        Float8Codec(8).sections(batch)


def test_a_threshold_that_is_not_finite_is_refused():
    batch = changed(BinaryCodec(8).encode_batch(VALUES), threshold=float("nan"))
    with pytest.raises(InvalidQuantizedData, match="threshold is nan"):
        BinaryCodec(8).sections(batch)


def test_a_part_of_tokens_that_is_not_finite_is_refused():
    codec = TokenPruningCodec(8, layout="compact_int4")
    batch = changed(codec.encode_batch([VALUES]), layout="compact_int4", threshold=float("inf"))
    with pytest.raises(InvalidQuantizedData, match="threshold is inf"):
        codec.sections(batch)


def test_pairs_whose_count_differs_are_refused():
    codec = SparseCodec(100)
    batch = codec.encode_batch([SparseVector([1, 5], [1, 2], 100)])
    batch.columns["data"][0] = 3
    with pytest.raises(InvalidQuantizedData, match="the data count 3"):
        codec.sections(batch)


def test_weights_that_no_half_holds_change_the_layout_of_their_row_alone():
    codec = SparseCodec(100, "compact_f16")
    batch = codec.encode_batch([SparseVector([1], [w], 100) for w in (1.0, 1e9, 2.0)])
    assert [section[1] for section in codec.sections(batch).rows] == [5, 6, 5]


def test_more_subvectors_than_a_section_can_count_are_refused():
    codec = PQ8Codec(PQ8Codebook(np.zeros((256, 256, 1), np.float32)))
    batch = codec.encode_batch(np.zeros((2, 256), np.float32))
    with pytest.raises(InvalidInput, match="32-bit numbers"):
        codec.sections(batch)


def test_rows_without_codes_are_framed():
    layout = Float8Codec.layouts[0]
    sections = framed(
        of_codes(layout, 1, {"scale": 1, "bias": 0}, np.empty((2, 0), np.uint8)), None
    )
    assert [len(one) for one in sections.rows] == [22, 22]
