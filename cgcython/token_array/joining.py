"""Puts the documents of several TokenArrays one after the other."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from cgcython.arrays import concatenated
from cgcython.checks import require_instance, require_items
from cgcython.errors import InvalidInput
from cgcython.types import Float32Array

if TYPE_CHECKING:
    from cgcython.token_array.array import TokenArray


def joined(kind: "type[TokenArray]", arrays: "Iterable[TokenArray]") -> "TokenArray":
    """Return the `kind` that has the documents of all arrays, which must be of one kind.

    Those without documents may be of any. Raises InvalidInput, of nothing to join too.
    """
    given = require_items(arrays, "arrays", "a list of TokenArrays")
    every = [require_instance(one, kind, "arrays").compact() for one in given]
    if not every:
        raise InvalidInput(what="arrays", expected="one or more", actual="none")
    parts = [one for one in every if len(one)] or every[:1]
    first = parts[0]
    for one in parts[1:]:
        if _form(one) != _form(first):
            raise InvalidInput(what="arrays", expected=_told(first), actual=_told(one))
    scales = [one.scales for one in parts if one.scales is not None]
    return kind(
        concatenated([one.values for one in parts]),
        np.cumsum([0, *np.concatenate([one.counts for one in parts])], dtype=np.int64),
        first.precision,
        dim=first.dim,
        scales=_joined_scales(scales),
        codebook=first.codebook,
        finite=False,
    )


def _joined_scales(scales: list[Float32Array]) -> Float32Array | None:
    return np.concatenate(scales) if scales else None


def _form(tokens: "TokenArray") -> tuple[Any, ...]:
    return tokens.precision, tokens.dim, tokens.codebook, tokens.scales is None


def _told(tokens: "TokenArray") -> str:
    scales = "without" if tokens.scales is None else "with"
    codebook = tokens.codebook and f", codebook {tokens.codebook.codebook_id:#010x}"
    return f"{tokens.precision} tokens of {tokens.dim} values {scales} scales{codebook or ''}"
