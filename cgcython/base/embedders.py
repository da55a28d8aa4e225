"""Which embedders there are: the thirteen of the specification, and those that users name."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from cgcython.checks import NO_KEY, require_whole
from cgcython.errors import InvalidInput

if TYPE_CHECKING:
    from cgcython.base.profiles import ProfileName

FIRST_OWN, UNNUMBERED = 32, 255  # numbers of embedders; the last is that of none yet
MOST_EMBEDDERS = 200
_OWN_NAME = re.compile(r"(?![Ee][0-9]+$)[A-Za-z0-9][\w.-]{0,63}", re.ASCII)  # E14 is a slip


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
        from cgcython.base.profiles import Profile

        return Profile.named(profile)[self].dimension


class OwnEmbedder(int):
    """An embedder that a user names: equal by name, ordered by the number its profile gives it.

    It equals its name as text too, so that mappings keyed by it take the name. The number, 32 or
    more, stands for the name in bytes. Before a profile has given one it is UNNUMBERED. Raises
    InvalidInput for a name that is not 1 to 64 letters, digits, `_`, `-` and `.`, a letter or
    digit first, and for E and a number.

    >>> OwnEmbedder("minilm", 32) == OwnEmbedder("minilm") == "minilm"
    True
    >>> int(OwnEmbedder("minilm", 32)), OwnEmbedder("minilm").label
    (32, 'minilm')
    """

    name: str

    def __new__(cls, name: str, number: int = UNNUMBERED) -> "OwnEmbedder":
        if not isinstance(name, str) or not _OWN_NAME.fullmatch(name):
            raise InvalidInput(
                what="name of an embedder",
                expected="E1 to E13, or 1 to 64 of a-z, A-Z, 0-9, _, - and ., no sign first",
                actual=repr(name),
            )
        number = require_whole(number, f"number of {name}", FIRST_OWN, UNNUMBERED)
        own = super().__new__(cls, number)
        own.name = name
        return own

    @property
    def short(self) -> str:
        """The name, as everywhere."""
        return self.name

    title = label = short

    def __eq__(self, other: object) -> bool:
        if isinstance(other, OwnEmbedder):
            return self.name == other.name
        return isinstance(other, str) and self.name == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.name)

    def __lt__(self, other: int) -> bool:
        return _place(self) < _place(other)

    def __le__(self, other: int) -> bool:
        return _place(self) <= _place(other)

    def __gt__(self, other: int) -> bool:
        return _place(self) > _place(other)

    def __ge__(self, other: int) -> bool:
        return _place(self) >= _place(other)

    def __repr__(self) -> str:
        return f"OwnEmbedder({self.name!r}, {int(self)})"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return OwnEmbedder, (self.name, int(self))


EmbedderId: TypeAlias = ModelId | OwnEmbedder
EmbedderName: TypeAlias = EmbedderId | str | int  # whatever parse_embedder takes


NUMBERS = [*map(int, ModelId), *range(FIRST_OWN, UNNUMBERED)]  # that bytes may hold


def parse_embedder(name: EmbedderName) -> EmbedderId:
    """Return the embedder of a name: of the thirteen, or else a user's that has no number yet.

    Raises InvalidInput for what is no name.

    >>> parse_embedder("E9"), parse_embedder("minilm")
    (<ModelId.HDC: 8>, OwnEmbedder('minilm', 255))
    """
    if isinstance(name, OwnEmbedder):
        return name
    if isinstance(name, str) and _plain(name) not in _NAMES:
        return OwnEmbedder(name)
    return ModelId.parse(name)


def nearest_names(name: object, known: Iterable[EmbedderId]) -> list[str]:
    """Return the names among some embedders that a name is near to, the nearest first.

    >>> nearest_names("minlm", [OwnEmbedder("minilm"), ModelId.HDC])
    ['minilm']
    """
    spellings = {one: text for text in known for one in {text.short, text.title}}
    found = get_close_matches(str(name), spellings, cutoff=0.6)
    return list(dict.fromkeys(spellings[one].short for one in found))


def _place(embedder: int) -> tuple[int, str]:
    return int(embedder), embedder.name if isinstance(embedder, OwnEmbedder) else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_NAMES = {
    _plain(alias): model_id
    for model_id in ModelId
    for alias in (model_id.short, model_id.title, f"{model_id.short}_{model_id.title}")
}
