"""The vocabulary of every layer: embedders, methods and profiles."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

from cgcython import methods
from cgcython.checks import NO_KEY, iterated, require_instance, require_whole
from cgcython.errors import InvalidInput, UnknownMethod

_PROFILES = Path(__file__).with_name("profiles")
DEFAULT_PROFILE = "default"
_T = TypeVar("_T")
MAX_DIMENSION = 2**31 - 1
MOST_SHOWN = 4  # rows of a profile in its repr


class ModelId(IntEnum):
    """The thirteen embedders, E1 to E13.

    >>> ModelId.parse("E9"), ModelId.HDC.dimension()
    (<ModelId.HDC: 8>, 1024)
    """

    SEMANTIC = 0
    TEMPORAL_RECENT = 1
    TEMPORAL_PERIODIC = 2
    TEMPORAL_POSITIONAL = 3
    CAUSAL = 4
    SPARSE = 5
    CODE = 6
    GRAPH = 7
    HDC = 8
    MULTIMODAL = 9
    ENTITY = 10
    LATE_INTERACTION = 11
    SPLADE = 12

    @property
    def short(self) -> str:
        """`E1` to `E13`."""
        return f"E{self + 1}"

    @property
    def title(self) -> str:
        """The seeds' name, such as `TemporalRecent`."""
        return "SPLADE" if self is ModelId.SPLADE else self.name.title().replace("_", "")

    @property
    def label(self) -> str:
        """The name in messages, such as `E9 Hdc`."""
        return f"{self.short} {self.title}"

    @classmethod
    def parse(cls, name: "EmbedderName") -> "ModelId":
        """Return the embedder that `E1`, `E1_Semantic`, `Semantic`, `semantic` or 0 names.

        Raises InvalidInput for any other name.
        """
        try:
            return _NAMES[_plain(name)] if isinstance(name, str) else cls(name)
        except (KeyError, *NO_KEY):
            expected = "E1 to E13 or a name"
            raise InvalidInput(what="embedder", expected=expected, actual=repr(name)) from None

    def dimension(self, profile: "ProfileName | None" = None) -> int:
        """Return the number of values (vocabulary size, values per token) under a profile."""
        return Profile.named(profile)[self].dimension


EmbedderName: TypeAlias = ModelId | str | int  # whatever ModelId.parse takes


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_NAMES = {
    _plain(alias): model_id
    for model_id in ModelId
    for alias in (model_id.short, model_id.title, f"{model_id.short}_{model_id.title}")
}


_METHOD_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_others: dict[str, "QuantizationMethod"] = {}  # by name, those that are no members


class QuantizationMethod(Enum):
    """How an embedder's values become bytes.

    The members are the methods of this package. One of another package, which has an entry point
    for it, is found by its name, as in `QuantizationMethod("toy4")`, and is no member.
    """

    PQ8 = "pq8"
    FLOAT8_E4M3 = "float8_e4m3"
    BINARY = "binary"
    SPARSE_NATIVE = "sparse_native"
    TOKEN_PRUNING = "token_pruning"

    # Members are singletons; Enum would hash their names, in Python, at every look-up.
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return str(self.value)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return QuantizationMethod, (self.value,)

    @classmethod
    def _missing_(cls, value: object) -> "QuantizationMethod":
        if isinstance(value, str):
            if not methods.is_declared(value):
                methods.import_installed(value)
            if value in _others:
                return _others[value]
        own = [member.value for member in cls]
        names = ", ".join(dict.fromkeys([*own, *_others, *methods.installed_names()]))
        raise UnknownMethod(what="method", expected=f"one of {names}", actual=value)

    @classmethod
    def add(cls, name: str) -> "QuantizationMethod":
        """Return the method of a name, a new one where there is none.

        It is for packages that bring a method. Raises InvalidInput for a name that is not of 1 to
        32 of a-z, 0-9 and _, a letter first.

        >>> QuantizationMethod.add("pq8") is QuantizationMethod.PQ8
        True
        """
        if not isinstance(name, str) or not _METHOD_NAME.fullmatch(name):
            expected = "1 to 32 of a-z, 0-9 and _, a letter first"
            raise InvalidInput(what="name of a method", expected=expected, actual=name)
        for member in cls:
            if member.value == name:
                return member
        method = object.__new__(cls)
        method._name_, method._value_ = name.upper(), name
        return _others.setdefault(name, method)

    @classmethod
    def for_embedder(
        cls, model_id: EmbedderName, profile: "ProfileName | None" = None
    ) -> "QuantizationMethod":
        """Return the method of an embedder under a profile; every embedder has one."""
        return Profile.named(profile)[ModelId.parse(model_id)].method

    def compression_ratio(self) -> float:
        """Return the nominal ratio; `QuantizedEmbedding.compression_ratio` is the real one."""
        return methods.declaration(self.value).ratio

    def max_recall_loss(self) -> float:
        """Return the loss the method may cost, as a fraction."""
        return methods.declaration(self.value).max_loss


@dataclass(frozen=True, slots=True)
class Embedder:
    """One row of a profile: how many values an embedder gives and which method keeps them."""

    model_id: ModelId
    dimension: int
    method: QuantizationMethod

    def __post_init__(self) -> None:
        object.__setattr__(self, "model_id", ModelId.parse(self.model_id))
        dimension = require_whole(self.dimension, "dimension", 1, MAX_DIMENSION)
        object.__setattr__(self, "dimension", dimension)
        if not isinstance(self.method, QuantizationMethod):
            method = QuantizationMethod(require_instance(self.method, str, "method"))
            object.__setattr__(self, "method", method)


class Profile(Mapping[ModelId, Embedder]):
    """The table of embedders in use: `ModelId -> Embedder`, read from a TOML file.

    >>> Profile.named("contextgraph-2026")[ModelId.GRAPH].dimension
    1024
    """

    def __init__(self, rows: Iterable[Embedder]) -> None:
        every = [require_instance(row, Embedder, "row") for row in iterated(rows, "rows")]
        self._rows = {row.model_id: row for row in every}

    def __getitem__(self, model_id: ModelId) -> Embedder:
        try:
            return self._rows[model_id]
        except (KeyError, *NO_KEY):
            have = ", ".join(one.short for one in self)
            expected = f"one of the profile's {have}"
            raise InvalidInput(what="embedder", expected=expected, actual=model_id) from None

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._rows

    def __iter__(self) -> Iterator[ModelId]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        rows = [f"{one.short} {row.method} {row.dimension}" for one, row in self.items()]
        if len(rows) > MOST_SHOWN:
            rows[MOST_SHOWN - 2 : -1] = ["..."]
        return f"Profile({', '.join(rows)})"

    @overload
    def get(self, key: ModelId, /, default: None = None) -> Embedder | None: ...
    @overload
    def get(self, key: ModelId, /, default: Embedder | _T) -> Embedder | _T: ...
    def get(self, key: ModelId, /, default: object = None) -> object:
        """Return an embedder's row, or the default where the profile has none."""
        try:
            return self._rows.get(key, default)
        except NO_KEY:
            return default

    @classmethod
    def named(cls, name: "ProfileName | None" = None) -> "Profile":
        """Return a profile shipped with the package, the one at a path ending in .toml, or itself.

        None names the default profile.
        """
        if isinstance(name, Profile):
            return name
        if name is not None and not isinstance(name, (str, PathLike)):
            expected, actual = "a Profile or its name", type(name).__name__
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
        rows = [_row(name, row) for name, row in named.items()]
        profile = cls(rows)
        if len(profile) != len(rows) or not rows:
            actual = f"{len(rows)} lines for {len(profile)} embedders"
            raise InvalidInput(what="profile", expected="a line per embedder", actual=actual)
        return profile

    def to_toml(self) -> str:
        """Return the text that `from_toml` reads.

        >>> print(Profile.from_toml('E9 = { dimension = 64, method = "binary" }').to_toml())
        E9_Hdc = { dimension = 64, method = "binary" }
        """
        return "\n".join(
            f'{one.short}_{one.title} = {{ dimension = {row.dimension}, method = "{row.method}" }}'
            for one, row in self.items()
        )


ProfileName: TypeAlias = Profile | str | PathLike[str]  # whatever Profile.named takes


@lru_cache
def _shipped(name: str) -> Profile:
    return Profile.from_toml(_read(_PROFILES / f"{name}.toml"))


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        known = ", ".join(sorted(file.stem for file in _PROFILES.glob("*.toml")))
        expected = f"{known} or a .toml file"
        raise InvalidInput(what="profile", expected=expected, actual=path.stem) from None


def _row(name: str, row: Any) -> Embedder:
    model_id = ModelId.parse(name)
    row = row if isinstance(row, dict) else {}
    dimension, method = row.get("dimension"), row.get("method")
    if type(dimension) is not int or not 1 <= dimension <= MAX_DIMENSION:
        raise InvalidInput(what=f"{name}.dimension", expected="a whole number", actual=dimension)
    try:
        return Embedder(model_id, dimension, QuantizationMethod(method))
    except InvalidInput as error:
        error.what = f"{name}.{error.what}"
        raise
