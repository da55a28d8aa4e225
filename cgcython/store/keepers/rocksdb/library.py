"""The packages of the extra `store`, where they are installed."""

import os
from pathlib import Path

from cgcython.errors import StoreUnavailable
from cgcython.types import StrPath

PACKAGE = "rocksdict"
__all__ = ["PACKAGE", "crc32c", "filelock", "real_path", "require_library", "rocksdict"]

# Whoever opens or makes a database asks first whether all of them are here.
try:
    import rocksdict
except ImportError:
    rocksdict = None  # type: ignore[assignment]  # as said above
try:
    import filelock
except ImportError:
    filelock = None  # type: ignore[assignment]  # as said above
try:
    from crc32c import crc32c
except ImportError:
    crc32c = None  # type: ignore[assignment]  # as said above


def require_library(path: StrPath) -> None:
    """Raise StoreUnavailable, naming the extra, where one of the packages is not installed."""
    packages = {PACKAGE: rocksdict, "filelock": filelock, "crc32c": crc32c}
    for name in [name for name, module in packages.items() if module is None]:
        reason = f"the package {name} is missing: pip install cgcython[store]"
        raise StoreUnavailable(path=path, reason=reason)


def real_path(path: StrPath) -> Path:
    """Return the absolute path without links of a folder that need not be there.

    Raises StoreUnavailable for a name that is not UTF-8, which rocksdict does not take.
    """
    found = Path(path).resolve()
    try:
        str(found).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(found).decode(errors="backslashreplace")
        reason = "its name is not UTF-8, as names of databases must be; choose another folder"
        raise StoreUnavailable(path=shown, reason=reason) from None
    return found
