"""The packages of the extra `store`, where they are installed."""

from cgcython.errors import StoreUnavailable
from cgcython.types import StrPath

PACKAGE = "rocksdict"
__all__ = ["PACKAGE", "crc32c", "require_library", "rocksdict"]

try:
    import rocksdict
except ImportError:
    rocksdict = None  # type: ignore[assignment]  # whoever opens a database says so first
try:
    from crc32c import crc32c
except ImportError:
    crc32c = None  # type: ignore[assignment]  # as above


def require_library(path: StrPath) -> None:
    """Raise StoreUnavailable, naming the extra, where rocksdict is not installed."""
    missing = {PACKAGE: rocksdict, "crc32c": crc32c}
    for name in [name for name, module in missing.items() if module is None]:
        reason = f"the package {name} is missing: pip install cgcython[store]"
        raise StoreUnavailable(path=path, reason=reason)
