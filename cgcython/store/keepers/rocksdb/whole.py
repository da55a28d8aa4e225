"""Makes a folder appear whole or not at all."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StoreUnavailable


@contextmanager
def whole_folder(path):
    """Yield a folder beside `path` that becomes `path` when nothing was raised."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StoreUnavailable(
            path=path, reason=f"cannot be created: {error}; choose another folder"
        ) from error
    try:
        yield scratch / "database"
        os.rename(scratch / "database", path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
