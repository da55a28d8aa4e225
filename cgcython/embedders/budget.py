"""Which steps of the ladder keep a fingerprint within a budget of bytes, told without encoding."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from cgcython.base import EmbedderId
from cgcython.codecs.base import InputKind
from cgcython.embedders.blocks import RouteOf
from cgcython.embedders.ladder import LADDER, steps_for
from cgcython.errors import BudgetExceeded, QuantizationError
from cgcython.manifest import size_of

Embeddings: TypeAlias = Mapping[EmbedderId, Any]
_LAST = len(LADDER) - 1


def steps_within(fingerprint: Embeddings, budget_bytes: float, route_of: RouteOf) -> Iterator[int]:
    """Yield steps of LADDER from the finest that fits a budget on; where none fits, the last.

    Of steps of about the same bytes it is the one that keeps more of texts as long as these. Raises
    BudgetExceeded where the texts alone do not fit at any step: to pool very long ones takes long.
    """
    budget = budget_bytes - size_of(len(fingerprint))
    has_fitted = _fits(fingerprint, 0, budget, route_of)
    if has_fitted:
        yield 0
    texts = _texts_of(fingerprint, route_of)
    if not has_fitted and not _fits(texts, _LAST, budget, route_of):
        smallest = _size(fingerprint, _LAST, route_of) + size_of(len(fingerprint))
        raise BudgetExceeded(budget_bytes=budget_bytes, smallest_bytes=smallest)
    tokens = sum(map(_tokens_of, texts.values())) / max(1, len(texts))
    for step in steps_for(tokens)[1:]:
        has_fitted = has_fitted or step == _LAST or _fits(fingerprint, step, budget, route_of)
        if has_fitted:
            yield step


def _fits(embeddings: Embeddings, step: int, budget: float, route_of: RouteOf) -> bool:
    return _size(embeddings, step, route_of) <= budget


def _size(embeddings: Embeddings, step: int, route_of: RouteOf) -> int:
    """Return the bytes of the sections that embeddings become at a step.

    What is no embedding counts nothing: encoding says what is wrong.
    """
    try:
        return sum(route_of(key, step).section_bytes(one) for key, one in embeddings.items())
    except (QuantizationError, TypeError):
        return 0


def _tokens_of(text: Any) -> int:
    """Return how many tokens a text has; none where it is no array of them, as in `_size`."""
    try:
        return len(text)
    except TypeError:
        return 0


def _texts_of(embeddings: Embeddings, route_of: RouteOf) -> Embeddings:
    """Return those embeddings that have tokens."""
    return {
        key: one
        for key, one in embeddings.items()
        if route_of(key, 0).codec.inputs is InputKind.TOKENS
    }
