"""What a search may be asked for: embedders and their weights, ids, a shortlist to order anew."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from cgcython.base import ModelId
from cgcython.errors import InvalidInput
from cgcython.search.loading import KEY
from cgcython.store.ids import as_key


def weights_of(query, embedders, weights, rerank=None):
    """Return `{ModelId: weight}` of the embedders that rank, the heaviest 1, and `rerank`'s."""
    if not isinstance(weights, Mapping):
        actual = type(weights).__name__
        raise InvalidInput(what="weights", expected="a mapping from embedders", actual=actual)
    weights = {ModelId.parse(name): weight for name, weight in weights.items()}
    embedders = [embedders] if isinstance(embedders, (str, ModelId)) else embedders
    wanted = query if embedders is None else [ModelId.parse(name) for name in embedders]
    for model_id in {*wanted, *weights, *({rerank} - {None})} - set(query):
        have = ", ".join(one.short for one in query)
        raise InvalidInput(what="embedder", expected=f"of the query's {have}", actual=model_id)
    for weight in weights.values():
        if not isinstance(weight, (int, float, np.number)) or not math.isfinite(weight):
            raise InvalidInput(what="weight", expected="a finite number", actual=weight)
    wanted = {one: weights.get(one, 1.0) for one in wanted if one is not rerank}
    if rerank is not None and not any(weight > 0 for weight in wanted.values()):
        expected = f"another embedder to find what {rerank.short} orders anew"
        raise InvalidInput(what="rerank", expected=expected, actual=f"{rerank.short} alone")
    heaviest = max([0.0, *wanted.values()]) or 1.0  # as parts of it no sum overflows
    ranking = {model_id: weight / heaviest for model_id, weight in wanted.items() if weight > 0}
    return ranking, max(weights.get(rerank, 1.0), 0.0) / heaviest


def keys_of(among):
    """Return the keys of ids, ascending and each once."""
    if isinstance(among, (str, bytes)) or not isinstance(among, Iterable):
        actual = type(among).__name__
        raise InvalidInput(what="among", expected="ids, in a set or a list", actual=actual)
    return np.unique(np.array([as_key(one) for one in among], KEY))


def whole(what, number):
    """Return a whole number of 1 or more. Raises InvalidInput unless it is one."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise InvalidInput(what=what, expected="1 or more", actual=number)
    return int(number)
