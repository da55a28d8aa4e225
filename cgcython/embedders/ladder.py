"""The forms a fingerprint may be kept in, from the finest to the smallest.

Each step gives up what costs least for the bytes it saves: weights of 8 bits rank as halves do, all
tokens as int2 or half of them, pooled, as int4 keep most of what all tokens as int4 do
(docs/QUALITY.md). What a method does at a step is its codec's to say (`Codec.compact_for`); where
a profile's row says which part of the tokens to keep, they are kept at all steps, as E4M3 at the
first two, as int4 at the next two and as int2 at the last two.
"""

from cgcython.checks import require_whole

LADDER = (  # the number of a step is its position
    "all tokens as int4, f16 weights",
    "all tokens as int4, u8 weights",
    "all tokens as int2, u8 weights",
    "a pooled half of the tokens as int4, u8 weights",
    "a pooled half of the tokens as int2, u8 weights",
    "a pooled quarter of the tokens as int2, u8 weights",
)
_ALL_INT2, _HALF_INT4 = 2, 3
# Half the tokens as int4 take the bytes of all as int2, and find more of the top 10 of longer
# texts: .934 against .925 of texts cut to 128 tokens, .907 against .924 of those cut to 64. Between
# 80 and 104 tokens the two differ by less than .007: cgcython eval tokens --tokens 104.
SHORT_TEXT = 100  # tokens


def require_step(step: object) -> int:
    """Return the number of a step of LADDER; raises InvalidInput unless it is one."""
    return require_whole(step, "step", 0, len(LADDER) - 1)


def steps_for(tokens: float) -> tuple[int, ...]:
    """Return the steps for texts of some tokens, on average, from the finest to the smallest.

    >>> steps_for(32), steps_for(512)
    ((0, 1, 2, 4, 5), (0, 1, 3, 4, 5))
    """
    left_out = _HALF_INT4 if tokens <= SHORT_TEXT else _ALL_INT2
    return tuple(step for step in range(len(LADDER)) if step != left_out)
