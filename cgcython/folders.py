"""Folders that appear whole or not at all, and folders to work in."""

import operator
import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import reduce
from pathlib import Path
from typing import Self

from cgcython.errors import StoreUnavailable


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield the path of a folder to make, which becomes `path` when nothing was raised.

    Raises StoreUnavailable where nothing can be written beside `path`.
    """
    remedy = "cannot be created: {}; choose another folder"
    with working_folder(path, remedy) as folder:
        yield folder / "new"
        put_in_place(folder / "new", path)


def put_in_place(folder: Path, path: Path) -> None:
    """Rename a folder to a path where nothing is; raises StoreUnavailable."""
    try:
        os.rename(folder, path)
    except OSError as error:
        reason = f"it cannot be put there: {error}; choose another folder"
        raise StoreUnavailable(path=path, reason=reason) from error


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


def keep_modes(source: Path, copy: Path) -> None:
    """Give a folder the permissions of the one it copies or replaces, and its files those of files.

    Where the source's files differ, the copy's get what all of them allow. Files that are linked
    to the source's have theirs already.
    """
    modes = []
    for one in source.iterdir():
        with suppress(FileNotFoundError):  # a database moves its files
            mode = one.stat().st_mode
            modes += [mode] if stat.S_ISREG(mode) else []
    allowed = reduce(operator.and_, modes, 0o666) | 0o600
    for one in copy.iterdir():
        if one.is_file() and one.stat().st_nlink == 1:
            one.chmod(allowed & 0o666)
    copy.chmod(stat.S_IMODE(source.stat().st_mode) | 0o700)


class TemporaryFolder:
    """An empty folder that is gone once closed, or at the exit of the process that made it.

    The children of a fork leave it alone, unlike those of tempfile.
    """

    def __init__(self, prefix: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._remove = weakref.finalize(self, _remove_own, self.path, os.getpid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder; a second call does nothing."""
        self._remove()


def _remove_own(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)
