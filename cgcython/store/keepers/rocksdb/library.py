"""The packages of the extra `store`, where they are installed."""

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgcython.errors import StoreUnavailable
from cgcython.types import StrPath

PACKAGE = "rocksdict"
_MODULES = (PACKAGE, "filelock", "crc32c")
__all__ = ["PACKAGE", "crc32c", "filelock", "real_path", "require_library", "rocksdict"]

# Imported when first used: together they take as long as all else that a command imports.
if TYPE_CHECKING:
    import filelock
    import rocksdict
    from crc32c import crc32c
else:

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(name)
        globals()[name] = module.crc32c if name == "crc32c" else module
        return globals()[name]


def require_library(path: StrPath) -> None:
    """Raise StoreUnavailable, naming the extra, where one of the packages is not installed."""
    for name in _MODULES:
        if name not in globals() and importlib.util.find_spec(name) is None:
            reason = f"the package {name} is missing: pip install cgcython[store]"
            raise StoreUnavailable(path=path, reason=reason)


def real_path(path: StrPath) -> Path:
    """Return the absolute path without links of a folder that need not be there.

    Raises StoreUnavailable for a name that is not UTF-8, which rocksdict does not take, and where
    the current folder, which a relative path begins at, is gone.
    """
    try:
        found = Path(os.path.realpath(path))
    except OSError as error:
        reason = f"{error.strerror}: the current folder is gone; give a path from the root on"
        raise StoreUnavailable(path=path, reason=reason) from None
    try:
        str(found).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(found).decode(errors="backslashreplace")
        reason = "its name is not UTF-8, as names of databases must be; choose another folder"
        raise StoreUnavailable(path=shown, reason=reason) from None
    return found
