"""The forms of tokens at the steps of `embedders.ladder`, and how many tokens each keeps.

Where a profile says which part of the tokens is kept, steps are of precision alone. Where it leaves
that open, all are kept as long as they fit: half the tokens as E4M3 take the bytes of all as int4,
and lose 13 % where those lose 0.5 % (docs/QUALITY.md).
"""

from typing import NamedTuple

from cgcython.codecs.token_layouts import INT2_F16, INT4_F16


class TokenStep(NamedTuple):
    """The part of the tokens that is kept, whether the others are merged into it, and how."""

    part: float
    pool: bool
    layout: str


BY_PRECISION = (
    *("compact_e4m3", "compact_e4m3"),
    *("compact_int4", "compact_int4"),
    *("compact_int2", "compact_int2"),
)
BY_BUDGET = (
    TokenStep(1.0, False, INT4_F16),
    TokenStep(1.0, False, INT4_F16),
    TokenStep(1.0, False, INT2_F16),
    TokenStep(0.5, True, INT4_F16),
    TokenStep(0.5, True, INT2_F16),
    TokenStep(0.25, True, INT2_F16),
)
POOLED = sorted({step.part for step in BY_BUDGET if step.pool}, reverse=True)
WIDE = "compact_e4m3"  # the layout at all steps of tokens that cannot be turned
