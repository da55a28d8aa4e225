"""The vocabulary of every layer: embedders, methods and profiles."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from cgcython.errors import InvalidInput

_PROFILES = Path(__file__).with_name("profiles")
DEFAULT_PROFILE = "default"


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
    def short(self):
        """`E1` to `E13`."""
        return f"E{self + 1}"

    @property
    def title(self):
        """The seeds' name, such as `TemporalRecent`."""
        return "SPLADE" if self is ModelId.SPLADE else self.name.title().replace("_", "")

    @property
    def label(self):
        """The name in messages, such as `E9 Hdc`."""
        return f"{self.short} {self.title}"

    @classmethod
    def parse(cls, name):
        """Return the embedder that `E1`, `E1_Semantic`, `Semantic`, `semantic` or 0 names.

        Raises InvalidInput for any other name.
        """
        try:
            return _NAMES[_plain(name)] if isinstance(name, str) else cls(name)
        except (KeyError, ValueError):
            expected = "E1 to E13 or a name"
            raise InvalidInput(what="embedder", expected=expected, actual=repr(name)) from None

    def dimension(self, profile=None):
        """Return the number of values (vocabulary size, values per token) under a profile."""
        return Profile.named(profile)[self].dimension


EmbedderName: TypeAlias = ModelId | str | int  # whatever ModelId.parse takes
ProfileName: TypeAlias = "Profile | str | PathLike[str]"  # whatever Profile.named takes


def _plain(name):
    return name.replace("_", "").replace("-", "").lower()


_NAMES = {
    _plain(alias): model_id
    for model_id in ModelId
    for alias in (model_id.short, model_id.title, f"{model_id.short}_{model_id.title}")
}


class QuantizationMethod(Enum):
    """How an embedder's values become bytes."""

    PQ8 = "pq8"
    FLOAT8_E4M3 = "float8_e4m3"
    BINARY = "binary"
    SPARSE_NATIVE = "sparse_native"
    TOKEN_PRUNING = "token_pruning"

    # Members are singletons; Enum would hash their names, in Python, at every look-up.
    __hash__ = object.__hash__

    def __str__(self):
        return self.value

    @classmethod
    def for_embedder(cls, model_id, profile=None):
        """Return the method of an embedder under a profile; every embedder has one."""
        return Profile.named(profile)[ModelId.parse(model_id)].method

    def compression_ratio(self):
        """Return the nominal ratio; `QuantizedEmbedding.compression_ratio` is the real one."""
        return _NOMINAL[self][0]

    def max_recall_loss(self):
        """Return the loss the method may cost, as a fraction."""
        return _NOMINAL[self][1]


_NOMINAL = {
    QuantizationMethod.PQ8: (32.0, 0.05),
    QuantizationMethod.FLOAT8_E4M3: (4.0, 0.003),
    QuantizationMethod.BINARY: (32.0, 0.10),
    QuantizationMethod.SPARSE_NATIVE: (1.0, 0.0),
    QuantizationMethod.TOKEN_PRUNING: (2.0, 0.02),
}


@dataclass(frozen=True, slots=True)
class Embedder:
    """One row of a profile: how many values an embedder gives and which method keeps them."""

    model_id: ModelId
    dimension: int
    method: QuantizationMethod


class Profile(Mapping):
    """The table of embedders in use: `ModelId -> Embedder`, read from a TOML file.

    >>> Profile.named("contextgraph-2026")[ModelId.GRAPH].dimension
    1024
    """

    def __init__(self, rows):
        self._rows = {row.model_id: row for row in rows}

    def __getitem__(self, model_id):
        try:
            return self._rows[model_id]
        except KeyError:
            have = ", ".join(one.short for one in self)
            expected = f"one of the profile's {have}"
            raise InvalidInput(what="embedder", expected=expected, actual=model_id) from None

    def __contains__(self, model_id):
        return model_id in self._rows

    def __iter__(self):
        return iter(self._rows)

    def __len__(self):
        return len(self._rows)

    def get(self, model_id, default=None):
        """Return an embedder's row, or the default where the profile has none."""
        return self._rows.get(model_id, default)

    @classmethod
    def named(cls, name=None):
        """Return a profile shipped with the package, the one at a path ending in .toml, or itself.

        None names the default profile.
        """
        if isinstance(name, Profile):
            return name
        name = str(name or DEFAULT_PROFILE)
        return cls.from_toml(_read(Path(name))) if name.endswith(".toml") else _shipped(name)

    @classmethod
    def from_toml(cls, text):
        """Return the profile of lines such as `E1 = { dimension = 384, method = "pq8" }`."""
        try:
            named = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # too many digits, too many brackets
            raise InvalidInput(what="profile", expected="TOML", actual=error) from None
        rows = [_row(name, row) for name, row in named.items()]
        profile = cls(rows)
        if len(profile) != len(rows) or not rows:
            actual = f"{len(rows)} lines for {len(profile)} embedders"
            raise InvalidInput(what="profile", expected="a line per embedder", actual=actual)
        return profile

    def to_toml(self):
        """Return the text that `from_toml` reads.

        >>> print(Profile.from_toml('E9 = { dimension = 64, method = "binary" }').to_toml())
        E9_Hdc = { dimension = 64, method = "binary" }
        """
        return "\n".join(
            f'{one.short}_{one.title} = {{ dimension = {row.dimension}, method = "{row.method}" }}'
            for one, row in self.items()
        )


@lru_cache
def _shipped(name):
    return Profile.from_toml(_read(_PROFILES / f"{name}.toml"))


def _read(path):
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        known = ", ".join(sorted(file.stem for file in _PROFILES.glob("*.toml")))
        expected = f"{known} or a .toml file"
        raise InvalidInput(what="profile", expected=expected, actual=path.stem) from None


def _row(name, row):
    model_id = ModelId.parse(name)
    row = row if isinstance(row, dict) else {}
    dimension, method = row.get("dimension"), row.get("method")
    if type(dimension) is not int or not 1 <= dimension < 2**31:
        raise InvalidInput(what=f"{name}.dimension", expected="a whole number", actual=dimension)
    if not isinstance(method, str) or method not in _METHODS:
        raise InvalidInput(what=f"{name}.method", expected=", ".join(_METHODS), actual=method)
    return Embedder(model_id, dimension, _METHODS[method])


_METHODS = {method.value: method for method in QuantizationMethod}
