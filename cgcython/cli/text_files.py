"""Reads the lines of text files that arguments name."""

import os
import stat

from cgcython.errors import InvalidInput


def read_lines(path: str, expected: str) -> list[str]:
    """Return the lines of a file or pipe; raises InvalidInput where it is not what is expected.

    A folder or a device is refused: some devices have no end. Raises FileNotFoundError.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such file; expected {expected}")
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
        raise InvalidInput(what=path, expected=f"a file: {expected}", actual="a folder or device")
    try:
        with open(path, encoding="utf-8-sig") as file:  # editors may put a mark first
            return file.read().splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(what=path, expected=expected, actual=error) from None
