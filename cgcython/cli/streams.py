"""Prints where it can: to streams that are closed, full or gone, or cannot spell a name.

A file's name need not be text in any encoding; what a stream cannot spell is written as `\\udce9`,
which in a string of JSON is its escape.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO

NAMES = ("stdin", "stdout", "stderr")
_PRINTING = {errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def streams() -> Iterator[None]:
    """Within the block stdout and stderr exist and take any text."""
    _fill_descriptors()
    with ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # closed, as a daemon's are
                null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                setattr(sys, name, null)
                stack.callback(setattr, sys, name, None)
            elif isinstance(stream, TextIOWrapper):
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        yield


def _fill_descriptors() -> None:
    """Open the null device where a standard descriptor is closed.

    Else the next file has its number: a store's, into which a library then prints.
    """
    for descriptor in range(len(NAMES)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives the lowest number that is free


@contextmanager
def between_bars() -> Iterator[None]:
    """Within the block no progress bar is on the screen."""
    drawing = sys.modules.get("tqdm")
    if drawing is None:  # then none is
        yield
        return
    with drawing.tqdm.external_write_mode(file=sys.stderr):
        yield


def say(message: str) -> None:
    """Print a message for people, never for programs: to stderr, where that takes it.

    Of URLs it shows no passwords and signatures.
    """
    from cgcython.corpus.remote.urls import without_secrets  # which imports NumPy

    try:
        with between_bars():
            print(without_secrets(message), file=sys.stderr)
    except OSError:  # full, or nobody reads it any more
        mute(sys.stderr)


def is_of_stdout(error: OSError) -> bool:
    """Tell whether an error came from printing; then nobody gets the rest.

    Errors of files name them.
    """
    if error.filename is not None or error.errno not in _PRINTING:
        return False
    mute(sys.stdout)
    return True


def flush_failure() -> OSError | None:
    """Return why stdout does not take what was printed, or None; then nobody gets the rest."""
    try:
        sys.stdout.flush()
    except OSError as error:
        mute(sys.stdout)
        return error
    return None


def mute(stream: TextIO) -> None:
    """Let a stream write to nowhere, also what it still holds."""
    with suppress(OSError):  # a stream without a descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
