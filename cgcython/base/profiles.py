"""Which embedders are in use, how many values each gives and how a method keeps them."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

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
from cgcython.base.rows import MAX_DIMENSION, Embedder, as_before, row_to_add
from cgcython.checks import NO_KEY, iterated, require_instance, require_mapping
from cgcython.errors import InvalidInput

_PROFILES = Path(__file__).parents[1] / "profiles"
DEFAULT_PROFILE = "default"
MOST_SHOWN, MOST_LISTED = 4, 20  # rows of a profile in its repr, and in errors
EXAMPLE_DIMENSION = 384
_T = TypeVar("_T")


class Profile(Mapping[EmbedderId, Embedder]):
    """The table of embedders in use: rows by embedder, of a mapping, a list or a TOML file.

    Embedders that users name get numbers from 32 on, in the order of their rows. `by_number` has
    the embedders of all numbers that bytes may hold: of rows, and the thirteen.

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
        # What the embeddings of each have to be, looked up at every write.
        self.forms = {one: (row.method, row.dimension) for one, row in self._rows.items()}
        if isinstance(rows, Mapping) and len(self._rows) != len(every):
            actual = f"{len(every)} lines for {len(self._rows)} embedders"
            raise InvalidInput(what="profile", expected="a line per embedder", actual=actual)
        self.by_number = {int(model_id): model_id for model_id in [*ModelId, *self._rows]}
        self._own = sorted(one for one in self._rows if isinstance(one, OwnEmbedder))

    def __getitem__(self, model_id: EmbedderId) -> Embedder:
        try:
            return self._rows[model_id]
        except (KeyError, *NO_KEY):
            raise self.unknown(model_id) from None

    def __contains__(self, model_id: object) -> bool:
        try:
            return model_id in self._rows
        except NO_KEY:  # what has no hash
            return False

    def __eq__(self, other: object) -> bool:
        return self._rows == other._rows if isinstance(other, Profile) else NotImplemented

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
        """Return the embedder that a name means, in any spelling: a row's, or of the thirteen.

        Raises InvalidInput, with the nearest names, where there is none.
        """
        if type(name) is ModelId:
            return name
        try:
            found = self._rows.get(name)  # type: ignore[arg-type]  # whatever has a hash
            if found is not None:
                return found.model_id
            parsed = parse_embedder(name)
        except (InvalidInput, *NO_KEY):
            raise self.unknown(name) from None
        if isinstance(parsed, OwnEmbedder):
            raise self.unknown(name)
        return parsed

    def row(self, name: EmbedderName) -> Embedder:
        """Return the row of the embedder that a name means.

        Raises InvalidInput, with the nearest names, where the profile has none.
        """
        try:
            found = self._rows.get(name)  # type: ignore[arg-type]  # whatever has a hash
            return found or self._rows[parse_embedder(name)]
        except (KeyError, InvalidInput, *NO_KEY):
            raise self.unknown(name) from None

    @property
    def own(self) -> list[OwnEmbedder]:
        """Its embedders that are a user's, in the order of their numbers."""
        return self._own

    @property
    def storable(self) -> list[EmbedderId]:
        """Every embedder whose number bytes may hold: the thirteen, and its own."""
        return [*ModelId, *self.own]

    def unknown(
        self,
        name: object,
        dimension: int | None = None,
        method: QuantizationMethod = QuantizationMethod.FLOAT8_E4M3,
    ) -> InvalidInput:
        """Return the error of an embedder that the profile does not have, with the row to add.

        `dimension` is that of the embedding that came, `method` one that keeps such embeddings.
        """
        method = require_instance(method, QuantizationMethod, "method")
        near, known = nearest_names(name, self), [one.short for one in self]
        shown = ", ".join(known if len(known) <= MOST_LISTED else [*known[:MOST_LISTED], "..."])
        expected = f"one of the profile's {shown}"
        if near:
            expected += f" (the nearest is {near[0]})"
        if not isinstance(dimension, int) or not 1 <= dimension <= MAX_DIMENSION:
            dimension = EXAMPLE_DIMENSION
        row = row_to_add(name, dimension, method)
        if row is not None:
            expected += f", or a profile with the row {row}"
        actual = name if isinstance(name, int) else repr(name)
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

    def differences(self, other: "Profile") -> list[str]:
        """Return what another profile says otherwise, in words; nothing where it fits."""
        other = require_instance(other, Profile, "profile")
        shared = [self[one].difference(other[one]) for one in self if one in other]
        found = [one for one in shared if one is not None]
        for one, rest, reason in ((self, other, "left out"), (other, self, "only there")):
            names = [embedder.short for embedder in one if embedder not in rest]
            found += [f"{', '.join(names)} {reason}"] if names else []
        return found

    def extended(self, other: "Profile") -> "Profile":
        """Return this profile with the rows of another that it lacks behind its own.

        They get other numbers where theirs are taken.

        >>> one, other = ({name: {"dimension": 8, "method": "binary"}} for name in "ab")
        >>> [int(embedder) for embedder in Profile(one).extended(Profile(other))]
        [32, 33]
        """
        other = require_instance(other, Profile, "profile")
        taken = {int(one) for one in self}
        more = [row for one, row in other.items() if one not in self]
        return Profile([*self.values(), *(row.unless_taken(taken) for row in more)])

    @classmethod
    def kept(cls, text: str) -> "Profile":
        """Return the profile of a text that a store or a folder of shards keeps.

        What its rows leave open is meant as it was before there was such a setting.
        """
        return cls({name: as_before(row) for name, row in _parsed(text).items()})

    @classmethod
    def from_toml(cls, text: str) -> "Profile":
        """Return the profile of lines such as `E1 = { dimension = 384, method = "pq8" }`."""
        return cls(_parsed(text))

    def to_toml(self) -> str:
        """Return the text that `from_toml` reads.

        >>> print(Profile.from_toml('E9 = { dimension = 64, method = "binary" }').to_toml())
        E9_Hdc = { dimension = 64, method = "binary" }
        """
        return "\n".join(row.to_toml() for row in self.values())


ProfileName: TypeAlias = Profile | Mapping[Any, Any] | str | PathLike[str]


def _parsed(text: str) -> dict[str, Any]:
    try:
        named = tomllib.loads(require_instance(text, str, "profile"))
    except (ValueError, RecursionError) as error:  # too many digits, too many brackets
        raise InvalidInput(what="profile", expected="TOML", actual=error) from None
    if not named:
        expected = 'lines such as E1 = { dimension = 384, method = "pq8" }'
        raise InvalidInput(what="profile", expected=expected, actual="none")
    return named


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
