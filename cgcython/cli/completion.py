"""Writes the completion scripts of shells: commands, options, choices and files."""

import argparse
import re

from cgcython.cli.parser import Parser
from cgcython.errors import UsageError

_FILES = re.compile(r"FILE|PATH|INPUT|SPEC|STORE|SHARDS|FOLDER|SOURCE|NEW")


def script(parser: Parser, shell: str) -> str:
    """Return the script that completes the whole command in a shell.

    Raises UsageError where the package that writes it, shtab, is not installed.
    """
    try:
        import shtab
    except ImportError:
        told = "--print-completion needs shtab: pip install 'cgcython[completion]'"
        raise UsageError(told) from None
    _complete_files(parser, shtab.FILE, shtab.DIRECTORY)
    return str(shtab.complete(parser, shell))


def _complete_files(parser: Parser, file: object, folder: object) -> None:
    """Mark the arguments of a parser, and of those below it, that are files or folders."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        metavar = str(action.metavar or "")
        if metavar == "DIR":
            action.complete = folder  # type: ignore[attr-defined]  # where shtab looks for it
        elif _FILES.search(metavar):
            action.complete = file  # type: ignore[attr-defined]
    for child in parser.commands().values():
        _complete_files(child, file, folder)
