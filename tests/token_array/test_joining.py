"""TokenArrays one after the other, and padded ones with masks."""

import numpy as np
import pytest
from tensor_stand_in import Tensor

from cgcython import TokenArray
from cgcython.errors import DimensionMismatch, InvalidInput

RNG = np.random.default_rng(4)
DOCUMENTS = [RNG.standard_normal((count, 8), dtype=np.float32) for count in (3, 0, 2, 4)]
PADDED = RNG.standard_normal((3, 4, 8), dtype=np.float32)
MASK = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1]])


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "e4m3", "int8", "int4", "int2"])
def test_the_parts_together_are_the_whole(precision):
    whole = TokenArray.from_list(DOCUMENTS).quantize(precision)
    assert TokenArray.concatenate([whole[:1], whole[1:2], whole[2:]]) == whole
    assert TokenArray.concatenate(iter([whole.take([3]), whole.take([0])])) == whole.take([3, 0])


def test_an_array_without_documents_fits_all():
    whole = TokenArray.from_list(DOCUMENTS).quantize("int8")
    assert TokenArray.concatenate([TokenArray.from_list([]), whole]) == whole
    assert len(TokenArray.concatenate([TokenArray.from_list([])])) == 0


def test_other_kinds_are_not_joined():
    whole = TokenArray.from_list(DOCUMENTS)
    with pytest.raises(InvalidInput, match=r"float32 tokens of 8 values .* int8 tokens"):
        TokenArray.concatenate([whole, whole.quantize("int8")])
    with pytest.raises(InvalidInput, match=r"of 8 values .* of 2 values"):
        TokenArray.concatenate([whole, TokenArray.from_list([[[1.0, 2.0]]])])
    for wrong in ([], [whole, DOCUMENTS[0]], 5):
        with pytest.raises(InvalidInput, match="arrays"):
            TokenArray.concatenate(wrong)


@pytest.mark.parametrize("mask", [MASK, MASK.astype(bool), MASK.tolist(), Tensor(MASK)])
def test_a_mask_says_which_tokens_are_none(mask):
    expected = TokenArray.from_list([PADDED[i][MASK[i] == 1] for i in range(3)])
    assert TokenArray.from_padded(PADDED, mask=mask) == expected
    assert TokenArray.from_padded(Tensor(PADDED), mask=mask) == expected


def test_a_masked_array_brings_its_mask():
    masked = np.ma.array(PADDED, mask=np.repeat(MASK[:, :, None] == 0, 8, axis=2))
    assert TokenArray.from_padded(masked) == TokenArray.from_padded(PADDED, mask=MASK)


def test_padding_may_hold_anything():
    padded = np.where(MASK[:, :, None] == 1, PADDED, np.nan)
    assert TokenArray.from_padded(padded, mask=MASK) == TokenArray.from_padded(PADDED, mask=MASK)


def test_wrong_masks_are_refused():
    for wrong in (MASK[:2], MASK * 2, MASK[0], MASK - 0.5):
        with pytest.raises(InvalidInput, match="mask"):
            TokenArray.from_padded(PADDED, mask=wrong)
    with pytest.raises(InvalidInput, match="lengths or a mask, got neither"):
        TokenArray.from_padded(PADDED)
    with pytest.raises(InvalidInput, match="lengths or a mask, got both"):
        TokenArray.from_padded(PADDED, [1, 1, 1], mask=MASK)
    with pytest.raises(DimensionMismatch):
        TokenArray.from_padded(PADDED[0], mask=MASK)
