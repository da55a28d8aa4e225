"""Files that appear whole or not at all."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cgcython.errors import FileUnavailable, InvalidInput
from cgcython.system import set_mode, sync
from cgcython.types import BytesLike, StrPath


def as_path(path: StrPath, what: str = "path") -> Path:
    """Return a Path that the system can have; raises InvalidInput for anything else.

    >>> as_path(7)
    Traceback (most recent call last):
    cgcython.errors.InvalidInput: [EMB-E018] path: expected a path, got 7
    """
    try:
        # An empty text comes of a variable that is not set, and is not the working folder.
        if isinstance(path, (str, os.PathLike)) and path != "" and b"\0" not in os.fsencode(path):
            return Path(path)
    except (TypeError, ValueError):  # a path in bytes, half a surrogate pair
        pass
    raise InvalidInput(what=what, expected="a path", actual=path)


def absolute_path(path: StrPath) -> str:
    """Return a path as text that means the same in any working folder, links and dots kept.

    Raises FileUnavailable where a path begins at the working folder, and that is gone.

    >>> absolute_path("/data/../docs.npy")
    '/data/../docs.npy'
    """
    text = os.fspath(path)
    if os.path.isabs(text):
        return text
    try:
        return os.path.join(os.getcwd(), text)
    except OSError as error:
        reason = f"{error.strerror}: the current folder is gone; give a path from the root on"
        raise FileUnavailable(path=text, reason=reason) from None


@contextmanager
def written_whole(path: StrPath) -> Iterator[Path]:
    """Yield the path of an empty file that takes the place of `path` when the block succeeds.

    The content is on the disk before it is seen under its name; a failure leaves what was there.
    Folders are made where they are missing. The file keeps the mode of the one that it replaces; a
    new one has what the umask allows. A folder or a device is never replaced: FileUnavailable.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(Path(folder, "new", "file")) as temporary:
    ...         _ = temporary.write_bytes(b"bytes")
    ...     Path(folder, "new", "file").read_bytes()
    b'bytes'
    """
    path = as_path(path)
    with _named(path), _folders_of(path):
        temporary = _beside(path)
        name = str(temporary)
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
        finally:
            try:  # noqa: SIM105  # no function of Python, at which Ctrl-C could fall
                os.unlink(name)
            except FileNotFoundError:
                pass
        sync(path.parent)


def write_whole(path: StrPath, data: BytesLike | list[BytesLike]) -> None:
    """Write bytes, or several one after the other, as `written_whole` does."""
    with written_whole(path) as temporary, open(temporary, "wb") as file:
        file.writelines(data if isinstance(data, list) else [data])


class _Undone(Exception):
    """Ends a block that only tries whether it could write."""


def require_place(path: StrPath) -> None:
    """Raise FileUnavailable, before any work for it, where no file can be written to a path."""
    with suppress(_Undone), written_whole(path):
        raise _Undone


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise FileUnavailable of a path for what the system raises inside."""
    try:
        yield
    except FileUnavailable:
        raise
    except OSError as error:
        raise FileUnavailable(path=path, reason=error.strerror or str(error)) from error


@contextmanager
def _folders_of(path: Path) -> Iterator[None]:
    """Make the folders that a path needs, and remove them where the block fails."""
    made = [one for one in path.parents if not one.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for one in made:
            with suppress(OSError):
                one.rmdir()
        raise


def _beside(path: Path) -> Path:
    """Return a new, empty file beside a path; raises FileUnavailable where none can be."""
    if not path.name or path.is_dir() or (path.exists() and not path.is_file()):
        raise FileUnavailable(path=path, reason="it is no regular file, and is not replaced")
    # Writers of files tell the format by its suffix.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    _create(temporary, path)
    return temporary


def _create(temporary: Path, path: Path) -> None:
    """Make a new file, with the mode of the one that it will replace."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else None
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        if mode is not None:
            set_mode(handle, temporary, mode)
    finally:
        os.close(handle)
