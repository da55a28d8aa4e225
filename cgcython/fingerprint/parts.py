"""A mapping from embedders, in their order."""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Generic, Self, TypeVar

from cgcython.base import EmbedderId, EmbedderName, ModelId, parse_embedder
from cgcython.errors import InvalidInput

T = TypeVar("T")


class Parts(Mapping[EmbedderId, T], Generic[T]):
    """A frozen mapping from EmbedderId, in the order of the embedders."""

    def __init__(self, parts: Any) -> None:
        named = _items(parts)
        found = {_model_id(key): value for key, value in named}
        if len(found) != len(named):
            actual = f"{len(named)} values for {len(found)} embedders"
            raise InvalidInput(what="fingerprint", expected="one value each", actual=actual)
        self._parts: dict[EmbedderId, T] = {key: found[key] for key in sorted(found)}

    @classmethod
    def _trusted(cls, parts: dict[EmbedderId, T]) -> Self:
        """Return the mapping of checked parts in the order of the embedders."""
        trusted = object.__new__(cls)
        trusted._parts = parts
        return trusted

    def __getitem__(self, model_id: EmbedderName) -> T:
        if type(model_id) is ModelId:
            return self._parts[model_id]
        try:
            return self._parts[_model_id(model_id)]
        except InvalidInput:
            raise KeyError(model_id) from None

    def __iter__(self) -> Iterator[EmbedderId]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def items(self) -> ItemsView[EmbedderId, T]:
        """Return the pairs; those of Mapping look every value up again."""
        return self._parts.items()

    def keys(self) -> KeysView[EmbedderId]:
        """Return the embedders."""
        return self._parts.keys()

    def values(self) -> ValuesView[T]:
        """Return the values, without looking each one up."""
        return self._parts.values()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(one.short for one in self)})"


def _items(parts: Any) -> list[tuple[Any, Any]]:
    try:
        return list(dict(parts).items())
    except (TypeError, ValueError, NotImplementedError):  # the last by views of matrices
        actual = type(parts).__name__
        expected = "a mapping from embedders"
        raise InvalidInput(what="fingerprint", expected=expected, actual=actual) from None


def _model_id(key: Any) -> EmbedderId:
    return key if type(key) is ModelId else parse_embedder(key)
