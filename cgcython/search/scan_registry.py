"""The scan classes that say which method they are for, those of other packages among them."""

from typing import TYPE_CHECKING

from cgcython.locks import ForkSafeLock

if TYPE_CHECKING:
    from cgcython.search.scan import Scan

_REGISTERED: "dict[str, type[Scan]]" = {}  # by module and class, so that a reload replaces
_LOCK = ForkSafeLock()  # modules may be imported side by side


def register(kind: "type[Scan]") -> None:
    """Note a scan class; raises TypeError where its name in column files is taken."""
    where = f"{kind.__module__}.{kind.__qualname__}"
    with _LOCK:
        for other, one in _REGISTERED.items():
            if kind.name is not None and one.name == kind.name and other != where:
                raise TypeError(f"{where}: its name, {kind.name!r}, is that of {other} already")
        _REGISTERED[where] = kind


def registered() -> "tuple[type[Scan], ...]":
    """Return every scan class that says which method it is for, in the order of definition."""
    with _LOCK:
        return tuple(_REGISTERED.values())
