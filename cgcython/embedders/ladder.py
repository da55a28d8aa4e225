"""The layouts a fingerprint may be kept in, from the finest to the smallest.

Each step gives up what costs least for the bytes it saves: weights of 8 bits rank as halves do,
tokens of 4 bits nearly as E4M3 does, tokens of 2 bits keep a little less (docs/QUALITY.md).
"""

from collections.abc import Mapping
from typing import NamedTuple

from cgcython.base import QuantizationMethod


class Step(NamedTuple):
    """What it is called, and the layout of each method that has several."""

    name: str
    layouts: Mapping[QuantizationMethod, str]


def _step(weights, tokens):
    return Step(
        f"{tokens} tokens, {weights} weights",
        {
            QuantizationMethod.SPARSE_NATIVE: f"compact_{weights}",
            QuantizationMethod.TOKEN_PRUNING: f"compact_{tokens}",
        },
    )


LADDER = (_step("f16", "e4m3"), _step("u8", "e4m3"), _step("u8", "int4"), _step("u8", "int2"))
