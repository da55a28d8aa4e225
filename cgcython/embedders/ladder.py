"""The forms a fingerprint may be kept in, from the finest to the smallest.

Each step gives up what costs least for the bytes it saves: weights of 8 bits rank as halves do,
tokens of 4 bits nearly as E4M3 does, tokens of 2 bits keep a little less (docs/QUALITY.md). What a
method does at a step is its codec's to say (`Codec.compact`).
"""

from cgcython.checks import require_whole

LADDER = (  # the number of a step is its position
    "e4m3 tokens, f16 weights",
    "e4m3 tokens, u8 weights",
    "int4 tokens, u8 weights",
    "int2 tokens, u8 weights",
)


def require_step(step: object) -> int:
    """Return the number of a step of LADDER; raises InvalidInput unless it is one."""
    return require_whole(step, "step", 0, len(LADDER) - 1)
