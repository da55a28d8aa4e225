"""The settings that rows of profiles may have, and what each may be."""

from enum import Enum
from typing import Any

from cgcython.checks import require_choice, require_instance, require_real, require_whole
from cgcython.codecs.sparse_layouts import NAMES as SPARSE_LAYOUTS
from cgcython.codecs.token_layouts import NAMES as TOKEN_LAYOUTS
from cgcython.codecs.token_selection import ImportanceScoringMethod
from cgcython.errors import InvalidInput
from cgcython.methods import RowSetting

AUTO, HALF = "auto", 0.5  # part of the tokens that is kept
METRICS = ("cosine", "dot")
BITS = (8, 6, 4, 2)  # of a value
ADDITIVE_SIZES = (8, 16, 24)  # bytes of residual codes
MOST_SUBVECTORS = 255  # a byte of the metadata counts them


def choice(name: str, choices: tuple[str, ...]) -> RowSetting:
    """Return the setting that is one of some texts; a member of an enum stands for its value."""

    def check(value: Any, what: str) -> str:
        return require_choice(value.value if isinstance(value, Enum) else value, what, choices)

    return RowSetting(name, check)


def _part(value: Any, what: str) -> float | str:
    if isinstance(value, str):
        if value != AUTO:
            expected = f'"{AUTO}", or a number above 0 and at most 1'
            raise InvalidInput(what=what, expected=expected, actual=value)
        return AUTO
    number = require_real(value, what, 0, 1)
    if number == 0:
        raise InvalidInput(what=what, expected="above 0, at most 1", actual=value)
    return number


def require_bits(value: object, what: str) -> int:
    """Return the bits of a value; raises InvalidInput for others than BITS."""
    return _one_of(value, what, BITS)


METRIC = {"metric": choice("metric", METRICS)}
THRESHOLD = {
    "threshold": RowSetting("threshold", lambda one, what: _finite(one, what), argument="threshold")
}
# A store has no attention weights.
_SCORERS = tuple(one.value for one in ImportanceScoringMethod if one.value != "attention")
_SCORING = RowSetting(
    "scoring",
    choice("scoring", _SCORERS).check,
    argument="scoring_method",
    compact_argument="scoring_method",
    value_of=ImportanceScoringMethod,
)
_PRUNING = RowSetting("pruning_ratio", _part, default=AUTO, before=HALF, argument="pruning_ratio")
_POOL = RowSetting(
    "pool",
    lambda value, what: require_instance(value, bool, what),
    argument="pool",
    compact_argument="pool",
)
_BYTES = RowSetting("bytes", lambda value, what: require_whole(value, what, 1, MOST_SUBVECTORS))
BYTES = {"bytes": _BYTES, "num_subvectors": _BYTES}

_ADDITIVE = RowSetting("bytes", lambda value, what: _one_of(value, what, ADDITIVE_SIZES))
ADDITIVE_BYTES = {"bytes": _ADDITIVE}


def layout_of(names: tuple[str, ...]) -> dict[str, RowSetting]:
    """Return the setting of the layout that fingerprints keep, instead of the budget's choice."""
    check = choice("layout", names).check
    return {"layout": RowSetting("layout", check, compact_argument="layout")}


TOKENS = {
    "pruning_ratio": _PRUNING,
    "scoring": _SCORING,
    "pool": _POOL,
    **layout_of(TOKEN_LAYOUTS),
}
SCALAR = {**METRIC, "bits": RowSetting("bits", require_bits, argument="bits")}
SPARSE = {**METRIC, **layout_of(SPARSE_LAYOUTS)}


def _one_of(value: Any, what: str, choices: tuple[int, ...]) -> int:
    if require_whole(value, what) not in choices:
        raise InvalidInput(what=what, expected=" or ".join(map(str, choices)), actual=value)
    return int(value)


def _finite(value: Any, what: str) -> float:
    largest = 3.4028234663852886e38  # of float32, in which it is kept
    return require_real(value, what, -largest, largest)
