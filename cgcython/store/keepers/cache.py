"""Where files are kept on this machine that are made of the records of a store elsewhere."""

import os
import tempfile
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return a folder of the user's cache; it need not be there.

    Of a user without a home it lies among the temporary files.
    """
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        cache = tempfile.gettempdir()
    return Path(cache, "cgcython", name)
