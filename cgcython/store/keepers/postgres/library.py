"""The package of the extra `postgres`, where it is installed."""

import importlib.util
from typing import TYPE_CHECKING, Any

from cgcython.errors import StoreUnavailable

PACKAGE = "psycopg"
__all__ = ["PACKAGE", "jsonb", "psycopg", "require_library"]

# Imported when first used: it takes longer than all else that a command imports.
if TYPE_CHECKING:
    import psycopg
else:

    def __getattr__(name: str) -> Any:
        if name != PACKAGE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = importlib.import_module(name)
        return globals()[name]


def jsonb(text: str) -> object:
    """Return what psycopg writes as a value of type jsonb for a JSON text."""
    from psycopg.types.json import Jsonb

    return Jsonb(text, dumps=str)


def require_library(place: str) -> None:
    """Raise StoreUnavailable, naming the extra, where the package is not installed or not whole."""
    if PACKAGE in globals():
        return
    try:
        globals()[PACKAGE] = importlib.import_module(PACKAGE)
    except ImportError as error:  # also where it finds no libpq
        reason = f"the package {PACKAGE} is missing ({error}): pip install cgcython[postgres]"
        raise StoreUnavailable(path=place, reason=" ".join(reason.split())) from error
