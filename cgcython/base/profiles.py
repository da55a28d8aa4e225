"""Which embedders are in use, how many values each gives and how a method keeps them."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

from cgcython import methods
from cgcython.base.embedders import (
    FIRST_OWN,
    MOST_EMBEDDERS,
    UNNUMBERED,
    EmbedderId,
    EmbedderName,
    ModelId,
    OwnEmbedder,
    nearest_names,
    parse_embedder,
)
from cgcython.base.quantization_method import QuantizationMethod
from cgcython.checks import NO_KEY, iterated, require_instance, require_mapping, require_whole
from cgcython.errors import InvalidInput

_PROFILES = Path(__file__).parents[1] / "profiles"
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
DEFAULT_PROFILE = "default"
MAX_DIMENSION = 2**31 - 1
MOST_SHOWN = 4  # rows of a profile in its repr
_T = TypeVar("_T")
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
        if not isinstance(self.method, QuantizationMethod):
            object.__setattr__(self, "method", QuantizationMethod(self.method))
        object.__setattr__(self, "settings", _checked_settings(self.method, dict(self.settings)))

    def setting(self, name: str, default: Any = None) -> Any:
        """Return a setting of the method, or the default where the row leaves it open."""
        return dict(self.settings).get(name, default)

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
                model_id = OwnEmbedder(model_id.name, values.pop("number", int(model_id)))
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
        values: dict[str, Any] = {"dimension": self.dimension, "method": str(self.method)}
        if isinstance(one, OwnEmbedder) and one != UNNUMBERED:
            values["number"] = int(one)
        values |= dict(self.settings)
        fields = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        return f"{name if _BARE_KEY.fullmatch(name) else json.dumps(name)} = {{ {fields} }}"


def _checked_settings(
    method: QuantizationMethod, given: dict[str, Any]
) -> tuple[tuple[str, Any], ...]:
    """Return settings as their method has them; raises InvalidInput for others."""
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
    return tuple(sorted(found.items()))


class Profile(Mapping[EmbedderId, Embedder]):
    """The table of embedders in use: rows by embedder, of a mapping, a list or a TOML file.

    Embedders that users name get numbers from 32 on, in the order of their rows.

    >>> Profile.named("contextgraph-2026")[ModelId.GRAPH].dimension
    1024
    >>> Profile({"minilm": {"dimension": 384, "method": "float8_e4m3"}})
    Profile(minilm float8_e4m3 384)
    """

    def __init__(self, rows: Iterable[Embedder] | Mapping[Any, Any]) -> None:
        if isinstance(rows, Mapping):
            every = [_row(name, row) for name, row in rows.items()]
        else:
            every = [require_instance(row, Embedder, "row") for row in iterated(rows, "rows")]
        self._rows = {row.model_id: row for row in _numbered(every)}
        if isinstance(rows, Mapping) and len(self._rows) != len(every):
            actual = f"{len(every)} lines for {len(self._rows)} embedders"
            raise InvalidInput(what="profile", expected="a line per embedder", actual=actual)
        self._by_number = {int(model_id): model_id for model_id in self._rows}

    def __getitem__(self, model_id: EmbedderId) -> Embedder:
        try:
            return self._rows[model_id]
        except (KeyError, *NO_KEY):
            raise self._unknown(model_id) from None

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._rows

    def __iter__(self) -> Iterator[EmbedderId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        rows = [f"{one.short} {row.method} {row.dimension}" for one, row in self.items()]
        if len(rows) > MOST_SHOWN:
            rows[MOST_SHOWN - 2 : -1] = ["..."]
        return f"Profile({', '.join(rows)})"

    @overload
    def get(self, key: EmbedderId, /, default: None = None) -> Embedder | None: ...
    @overload
    def get(self, key: EmbedderId, /, default: Embedder | _T) -> Embedder | _T: ...
    def get(self, key: EmbedderId, /, default: object = None) -> object:
        """Return an embedder's row, or the default where the profile has none."""
        try:
            return self._rows.get(key, default)
        except NO_KEY:
            return default

    def embedder(self, name: EmbedderName) -> EmbedderId:
        """Return the embedder of the profile that a name means, in any spelling.

        Raises InvalidInput, with the nearest names, where the profile has none.
        """
        return self.row(name).model_id

    def row(self, name: EmbedderName) -> Embedder:
        """Return the row of the embedder that a name means; errors as in `embedder`."""
        try:
            found = self._rows.get(name)  # type: ignore[arg-type]  # whatever has a hash
            return found or self._rows[parse_embedder(name)]
        except (KeyError, InvalidInput, *NO_KEY):
            raise self._unknown(name) from None

    def numbered(self, number: int) -> EmbedderId | None:
        """Return the embedder of a number in bytes, or None: of the thirteen, or of a row."""
        return self._by_number.get(number) or _THIRTEEN.get(number)

    @property
    def has_own(self) -> bool:
        """Whether any of its embedders is a user's."""
        return any(isinstance(one, OwnEmbedder) for one in self._rows)

    def _unknown(self, name: object) -> InvalidInput:
        near = nearest_names(name, self)
        known = [one.short for one in self]
        shown = ", ".join(near or (known if len(known) <= 20 else [*known[:19], "..."]))
        expected = f"{'the nearest is' if near else 'one of'} the profile's {shown}"
        if near:
            expected = f"one of the profile's, of which {shown} is nearest"
        actual = repr(name) if isinstance(name, str) else name
        return InvalidInput(what="embedder", expected=expected, actual=actual)

    @classmethod
    def named(cls, name: "ProfileName | None" = None) -> "Profile":
        """Return a profile: a shipped one, that of a path ending in .toml or of a mapping, itself.

        None names the default profile.
        """
        if isinstance(name, Profile):
            return name
        if isinstance(name, Mapping):
            return cls(name)
        if name is not None and not isinstance(name, (str, PathLike)):
            expected, actual = "a Profile, a mapping or a name", type(name).__name__
            raise InvalidInput(what="profile", expected=expected, actual=actual)
        text = str(name or DEFAULT_PROFILE)
        return cls.from_toml(_read(Path(text))) if text.endswith(".toml") else _shipped(text)

    @classmethod
    def from_toml(cls, text: str) -> "Profile":
        """Return the profile of lines such as `E1 = { dimension = 384, method = "pq8" }`."""
        try:
            named = tomllib.loads(require_instance(text, str, "profile"))
        except (ValueError, RecursionError) as error:  # too many digits, too many brackets
            raise InvalidInput(what="profile", expected="TOML", actual=error) from None
        if not named:
            expected = 'lines such as E1 = { dimension = 384, method = "pq8" }'
            raise InvalidInput(what="profile", expected=expected, actual="none")
        return cls(named)

    def to_toml(self) -> str:
        """Return the text that `from_toml` reads.

        >>> print(Profile.from_toml('E9 = { dimension = 64, method = "binary" }').to_toml())
        E9_Hdc = { dimension = 64, method = "binary" }
        """
        return "\n".join(row.to_toml() for row in self.values())


ProfileName: TypeAlias = Profile | Mapping[Any, Any] | str | PathLike[str]
_THIRTEEN: dict[int, EmbedderId] = {int(model_id): model_id for model_id in ModelId}


def _row(name: EmbedderName, row: object) -> Embedder:
    """Return the row of a mapping's entry, which may be a row already."""
    if isinstance(row, Embedder):
        return row
    return Embedder.of(name, require_mapping(row, f"{name}.row"))


def _numbered(rows: list[Embedder]) -> list[Embedder]:
    """Return rows whose own embedders all have a number; raises InvalidInput for a double one."""
    if len(rows) > MOST_EMBEDDERS:
        expected = f"at most {MOST_EMBEDDERS} embedders"
        raise InvalidInput(what="profile", expected=expected, actual=len(rows))
    own = [row.model_id for row in rows if isinstance(row.model_id, OwnEmbedder)]
    taken = [int(one) for one in own if int(one) != UNNUMBERED]
    if len(set(taken)) != len(taken):
        raise InvalidInput(what="profile", expected="a number per embedder", actual=taken)
    free = (number for number in range(FIRST_OWN, UNNUMBERED) if number not in taken)
    return [
        replace(row, model_id=OwnEmbedder(row.model_id.name, next(free)))
        if isinstance(row.model_id, OwnEmbedder) and int(row.model_id) == UNNUMBERED
        else row
        for row in rows
    ]


@lru_cache
def _shipped(text: str) -> Profile:
    return Profile.from_toml(_read(_PROFILES / f"{text}.toml"))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        known = ", ".join(sorted(file.stem for file in _PROFILES.glob("*.toml")))
        expected = f"{known} or a .toml file"
        raise InvalidInput(what="profile", expected=expected, actual=path.stem) from None
