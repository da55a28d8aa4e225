"""One row of a profile: an embedder, how many values it gives and how a method keeps them."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from cgcython import methods
from cgcython.base.embedders import (
    FIRST_OWN,
    UNNUMBERED,
    EmbedderId,
    EmbedderName,
    OwnEmbedder,
    parse_embedder,
)
from cgcython.base.quantization_method import QuantizationMethod
from cgcython.checks import require_mapping, require_whole
from cgcython.errors import InvalidInput

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
MAX_DIMENSION = 2**31 - 1
Settings: TypeAlias = Mapping[str, Any] | tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Embedder:
    """One row of a profile: how many values an embedder gives and which method keeps them.

    `settings` are those of the method, a mapping by name: `Codec.row_settings` says which.
    """

    model_id: EmbedderId
    dimension: int
    method: QuantizationMethod
    settings: Settings = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_id", parse_embedder(self.model_id))
        dimension = require_whole(self.dimension, "dimension", 1, MAX_DIMENSION)
        object.__setattr__(self, "dimension", dimension)
        object.__setattr__(self, "method", QuantizationMethod.named(self.method))
        object.__setattr__(self, "settings", _checked_settings(self.method, self.settings))

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting of the method, or the default where the row leaves it open."""
        return dict(self.settings).get(name, default)

    def unless_taken(self, numbers: Collection[int]) -> "Embedder":
        """Return this row, without its number where that is one of some."""
        one = self.model_id
        if not isinstance(one, OwnEmbedder) or int(one) not in numbers:
            return self
        return replace(self, model_id=OwnEmbedder(one.name))

    def left_open(self) -> list[methods.RowSetting]:
        """Return the settings with a default that this row leaves open."""
        known = methods.declaration(self.method.value).row_settings.values()
        said = dict(self.settings)
        return [one for one in known if one.default is not None and one.name not in said]

    def difference(self, other: "Embedder") -> str | None:
        """Return what another row of the same embedder says otherwise, None where nothing.

        It may leave open what has a default.
        """
        mine, theirs = self._said(), other._said()
        theirs |= {one.name: mine[one.name] for one in other.left_open() if one.name in mine}
        parts = [
            f"{name} is {mine.get(name, 'not said')}, not {theirs.get(name, 'left out')}"
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        ]
        return f"{self.model_id.short}: {', '.join(parts)}" if parts else None

    def _said(self) -> dict[str, Any]:
        """Return all that the row says, with the defaults of what it leaves open."""
        settings = {one.name: one.default for one in self.left_open()} | dict(self.settings)
        return {"dimension": self.dimension, "method": str(self.method), **settings}

    @classmethod
    def of(cls, name: EmbedderName, row: Mapping[str, Any]) -> "Embedder":
        """Return the row of a name and a mapping with `dimension`, `method` and settings.

        >>> Embedder.of("minilm", {"dimension": 384, "method": "float8_e4m3"}).dimension
        384
        """
        try:
            values = dict(require_mapping(row, "row"))
            model_id = parse_embedder(name)
            if isinstance(model_id, OwnEmbedder):
                number = values.pop("number", None)
                if number is not None:
                    number = require_whole(number, "number", FIRST_OWN, UNNUMBERED - 1)
                    model_id = OwnEmbedder(model_id.name, number)
            dimension, method = values.pop("dimension", None), values.pop("method", None)
            return cls(model_id, dimension, method, values)
        except InvalidInput as error:
            if error.what != "name of an embedder":
                error.what = f"{name}.{error.what}"
            raise

    def to_toml(self) -> str:
        """Return the line of a profile's text."""
        one = self.model_id
        name = one.name if isinstance(one, OwnEmbedder) else f"{one.short}_{one.title}"
        values = self._said()
        if isinstance(one, OwnEmbedder) and int(one) != UNNUMBERED:
            values["number"] = int(one)
        fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        return f"{name if _BARE_KEY.fullmatch(name) else json.dumps(name)} = {{ {fields} }}"


def _checked_settings(
    method: QuantizationMethod, settings: Settings
) -> tuple[tuple[str, Any], ...]:
    """Return settings as their method has them; raises InvalidInput for others."""
    try:
        given = dict(settings)
    except (TypeError, ValueError):
        expected, actual = "a mapping", type(settings).__name__
        raise InvalidInput(what="settings", expected=expected, actual=actual) from None
    if not given:
        return ()
    known = methods.declaration(method.value).row_settings
    found = {}
    for name, value in given.items():
        if name not in known:
            names = ", ".join(["dimension", "method", *known])
            raise InvalidInput(what=name, expected=f"of {method} only {names}", actual=value)
        setting = known[name]
        if setting.name in found:
            expected = f"{setting.name} once"
            raise InvalidInput(what=name, expected=expected, actual="both spellings of it")
        found[setting.name] = setting.check(value, name)
    open_ones = {one.name: one.default for one in known.values() if one.default is not None}
    return tuple(sorted(found.items() - open_ones.items()))


def as_before(row: object) -> object:
    """Return a row that a store keeps with what it meant before its settings could be said."""
    method = row.get("method") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(method, str):
        return row
    known = methods.declaration(QuantizationMethod(method).value).row_settings
    return {one.name: one.before for one in known.values() if one.before is not None} | row


def row_to_add(name: object, dimension: int, method: QuantizationMethod) -> str | None:
    """Return the line that adds an embedder to a profile, None for what is no name of one."""
    try:
        embedder = parse_embedder(name)  # type: ignore[arg-type]  # what is no name raises
    except InvalidInput:
        return None
    return Embedder(embedder, dimension, method).to_toml()
