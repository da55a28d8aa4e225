"""Folders that appear whole or not at all, and folders to work in."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgcython.errors import StoreUnavailable


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield the path of a folder to make, which becomes `path` when nothing was raised.

    Raises StoreUnavailable where nothing can be written beside `path`.
    """
    remedy = "cannot be created: {}; choose another folder"
    with working_folder(path, remedy) as folder:
        yield folder / "new"
        os.rename(folder / "new", path)


@contextmanager
def working_folder(path: Path, refusal: str) -> Iterator[Path]:
    """Yield an empty folder beside `path`, on the same disk, that is gone afterwards.

    Raises StoreUnavailable saying `refusal`, with the system's message in place of its {}.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StoreUnavailable(path=path, reason=refusal.format(error)) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
