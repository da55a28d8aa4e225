"""Which class declares a method, by the method's name; finds those of this and other packages.

The classes are codecs, which lie in a layer above. Those of this package are imported when one is
first asked for. A package of others names the module that defines its codec as an entry point.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cgcython.errors import InvalidInput

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

GROUP = "cgcython.methods"  # of entry points: the name is the method's, the value its module
_OWN = "cgcython.codecs.all"  # importing it declares the methods of this package


class RowSetting(NamedTuple):
    """A setting that a profile's row may have: its name, and `check(value, what)`.

    The check returns the value to keep, which TOML can hold, or raises InvalidInput. A row that
    leaves it open has the `default`; one that was kept by a release before the setting had
    `before`. `argument` is the codec's argument that it sets, `compact_argument` that of the codecs
    of fingerprints, and `value_of` makes its value.
    """

    name: str
    check: Callable[[Any, str], Any]
    default: Any = None
    before: Any = None
    argument: str | None = None
    compact_argument: str | None = None
    value_of: Callable[[Any], Any] = lambda value: value


class Declaration(Protocol):
    """What layers below the codecs ask of the class of a method."""

    ratio: float
    max_loss: float
    columns: Mapping[str, Any]  # ArrayForms, by the names of a batch's columns
    shared: tuple[str, ...]
    ragged: bool
    layouts: tuple[Any, ...]  # frames.Layout
    row_settings: Mapping[str, RowSetting]  # by each spelling

    def float32_bytes(self, original_dim: int, metadata: Any) -> int:
        """Return the bytes of one embedding as float32 values, pairs or tokens."""

    def count_rows(self, columns: Any) -> int:
        """Return the number of embeddings in the columns of a batch."""


_declared: dict[str, Declaration] = {}


def declare(name: str, codec: Declaration) -> None:
    """Note the class of a method.

    Raises InvalidInput where another class declares the same method.
    """
    known = _declared.setdefault(name, codec)
    if _path(known) != _path(codec):
        expected = f"{name} to be declared once, by {_path(known)}"
        raise InvalidInput(what="method", expected=expected, actual=_path(codec))
    _declared[name] = codec  # a dataclass with slots is made twice


def declaration(name: str) -> Declaration:
    """Return the class that declares a method.

    Raises InvalidInput where there is none.

    >>> declaration("binary").ratio
    32.0
    """
    found = _declared.get(name)
    if found is None:
        import_own()
        found = _declared.get(name)
    if found is None:
        raise InvalidInput(
            what=f"method {name}", expected="a codec that declares it", actual="none"
        )
    return found


def is_declared(name: str) -> bool:
    """Return whether a class has declared a method so far."""
    return name in _declared


def import_own() -> None:
    """Import the codecs of this package, which declares them."""
    import_module(_OWN)


def import_installed(name: str) -> bool:
    """Import the module of another package's method; return whether a package has one.

    Raises InvalidInput where the module cannot be imported, or declares another method.
    """
    for point in _entry_points():
        if point.name == name:
            _import(point)
            return True
    return False


@lru_cache
def import_all_installed() -> tuple[str, ...]:
    """Import the modules of all other packages' methods, once; return what was wrong with some."""
    wrong = []
    for point in _entry_points():
        try:
            _import(point)
        except InvalidInput as error:
            wrong.append(str(error))
    return tuple(wrong)


def installed_names() -> list[str]:
    """Return the names of other packages' methods, those not imported yet among them."""
    return sorted({point.name for point in _entry_points()})


def _entry_points() -> "EntryPoints":
    from importlib.metadata import entry_points  # takes longer than all else here

    return entry_points(group=GROUP)


def _import(point: "EntryPoint") -> None:
    what = f"method {point.name}"
    try:
        point.load()
    except Exception as error:  # whatever the other package's code raises
        expected = f"{point.value} to import"
        raise InvalidInput(what=what, expected=expected, actual=error) from error
    if point.name not in _declared:
        expected = f"a codec of this name in {point.value}"
        raise InvalidInput(what=what, expected=expected, actual="none")


def _path(codec: object) -> str:
    return f"{getattr(codec, '__module__', '')}.{getattr(codec, '__qualname__', '')}"
