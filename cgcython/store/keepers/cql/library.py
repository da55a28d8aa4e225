"""The package of the extra `cql`, where it is installed."""

import importlib
from typing import Any

from cgcython.errors import StoreUnavailable

PACKAGE = "scylla-driver"
_PARTS = ("auth", "cluster", "concurrent", "connection", "policies", "protocol", "query")
__all__ = ["PACKAGE", "driver", "require_library"]

# Imported when first used: it takes longer than all else that a command imports. Its types are not
# annotated, so that naming its modules would tell nothing more.
driver: Any = None


def require_library(place: str) -> None:
    """Import the driver; raises StoreUnavailable, naming the extra, where it is not installed."""
    global driver
    if driver is None:
        try:
            found = importlib.import_module("cassandra")
            for part in _PARTS:
                importlib.import_module(f"cassandra.{part}")
        except ImportError as error:
            reason = f"the package {PACKAGE} is missing ({error}): pip install cgcython[cql]"
            raise StoreUnavailable(path=place, reason=reason) from error
        driver = found
