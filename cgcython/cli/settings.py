"""Settings: options that a file gives, `cgcython.toml` in the current folder or `--config FILE`.

    [encode]
    models = "models"
    threads = 4

    [eval.methods]
    seeds = 1

A table for each command, a key for each of its options. Words of the command line count more.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cgcython.checks import nearest
from cgcython.cli.parser import Parser
from cgcython.errors import FileUnavailable, UsageError

FILE, OPTION = "cgcython.toml", "--config"
_NEVER = ("-h", "--help", "--debug", OPTION)


def add_settings(
    parser: Parser, path: str | None, command: Sequence[str], known: Sequence[str]
) -> None:
    """Give a command, and those below it, the options of a file, where there is one.

    `command` are its words, as in ["eval", "methods"]; `known` are all commands. Raises UsageError
    for what no command has.
    """
    tables = _read(path)
    for name in tables:
        if name not in known:
            raise _unknown(path, name, known, "command")
    table = tables.get(command[0], {})
    for word in command[1:]:
        table = _table(table.get(word, {}), path, word)
    below = parser.commands()
    for name, child in below.items():
        child.defaults = _options(child, _table(table.pop(name, {}), path, name), path)
    single = {key: value for key, value in table.items() if not isinstance(value, dict)}
    parser.defaults = {} if below else _options(parser, single, path)


def _read(path: str | None) -> dict[str, dict[str, Any]]:
    """Return the tables of a settings file; of the one in the current folder, if it is there."""
    file = Path(FILE if path is None else path)
    if path is None and not file.is_file():
        return {}
    import tomllib  # only a file needs it

    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise FileUnavailable(path=str(file), reason=error.strerror) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{file}: {error}; write lines such as those in docs/CLI.md") from None
    return {name: _table(table, path, name) for name, table in tables.items()}


def _table(found: object, path: str | None, name: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise UsageError(f"{path or FILE}: {name} is no table; write [{name}] above its options")
    return dict(found)


def _options(parser: Parser, table: Mapping[str, Any], path: str | None) -> dict[str, list[str]]:
    """Return the words of a command line that set options as a table does."""
    known = {name.lstrip("-"): name for name in parser.options() if name not in _NEVER}
    found: dict[str, list[str]] = {}
    for key, value in table.items():
        option = known.get(key.replace("_", "-"))
        if option is None:
            raise _unknown(path, key, list(known), "option")
        found[option] = _words(option, value)
    return found


def _words(option: str, value: object) -> list[str]:
    """Return an option with its value as words; a flag that is false is none."""
    if isinstance(value, bool):
        return [option] * value
    if isinstance(value, list):
        return [option, *map(str, value)]
    return [f"{option}={value}"]


def _unknown(path: str | None, name: str, known: Sequence[str], what: str) -> UsageError:
    told = f"no {what} is called {name}{nearest(name, known)}"
    return UsageError(f"{path or FILE}: {told}; there are {', '.join(known) or 'none'}")


def path_in(argv: Sequence[str]) -> str | None:
    """Return the file that `--config` names, None without one."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument(OPTION)
    try:
        found: str | None = finder.parse_known_args(list(argv))[0].config
    except argparse.ArgumentError:  # the command's own parser says so
        found = None
    return found
