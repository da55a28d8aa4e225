"""The vocabulary of every layer: embedders, methods and profiles."""

import tomllib
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from pathlib import Path

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
        return Profile.named(profile)[model_id].method

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


class Profile(dict):
    """The table of embedders in use: `ModelId -> Embedder`, read from a TOML file.

    >>> Profile.named("contextgraph-2026")[ModelId.GRAPH].dimension
    1024
    """

    @classmethod
    @lru_cache
    def named(cls, name=None):
        """Return a profile shipped with the package, or the one at a path ending in .toml."""
        name = str(name or DEFAULT_PROFILE)
        path = Path(name) if name.endswith(".toml") else _PROFILES / f"{name}.toml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in _PROFILES.glob("*.toml")))
            raise InvalidInput(what="profile", expected=f"{known} or a .toml file", actual=name)
        return cls.from_toml(path.read_text())

    @classmethod
    def from_toml(cls, text):
        """Return the profile of lines such as `E1 = { dimension = 384, method = "pq8" }`."""
        try:
            return cls(_row(name, row) for name, row in tomllib.loads(text).items())
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(what="profile", expected="TOML", actual=str(error)) from None

    def __missing__(self, model_id):
        have = ", ".join(one.short for one in self)
        raise InvalidInput(
            what="embedder", expected=f"one of the profile's {have}", actual=model_id
        )


def _row(name, row):
    model_id = ModelId.parse(name)
    dimension = row.get("dimension") if isinstance(row, dict) else None
    if not isinstance(dimension, int) or not 1 <= dimension < 2**31:
        raise InvalidInput(what=f"{name}.dimension", expected="a whole number", actual=dimension)
    try:
        method = QuantizationMethod(row.get("method"))
    except ValueError:
        known = ", ".join(m.value for m in QuantizationMethod)
        raise InvalidInput(
            what=f"{name}.method", expected=known, actual=row.get("method")
        ) from None
    return model_id, Embedder(model_id, dimension, method)
