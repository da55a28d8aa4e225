"""The argument parser of every command: help that fits the screen, mistakes told in one line."""

import argparse
import math
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from cgcython.checks import nearest
from cgcython.cli.failures import USAGE
from cgcython.cli.streams import say

WIDEST = 100  # columns of help; longer lines are hard to read
_NUMBER = re.compile(r"-\.?\d")
_TERM = re.compile(r"  (?!cgcython)\S+ +")  # of a list: `  bytes  of the codes`
_WORDS = re.compile(r"--\S+ [^-\s]\S*|\S+")  # of an example; an option goes with its value


class Help(argparse.HelpFormatter):
    """Fills paragraphs and terms to the screen's width, and folds examples so that they paste."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(shutil.get_terminal_size().columns, WIDEST) - 1)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = re.findall(r"^ .*(?:\n {4,}\S.*)*$|(?:^\S.*$\n?)+|^$", text, re.MULTILINE)
        return "\n".join(_filled(block, width) for block in blocks)


def _filled(block: str, width: int) -> str:
    """Return a paragraph at a width, a term and what it is, or an example's folded line."""
    term = _TERM.match(block)
    if term is None and block.startswith(" "):
        return _folded(block, width)
    start = term[0] if term else ""
    words, indent = block[len(start) :].split(), " " * len(start)
    # Words of options and paths keep their hyphens together.
    lines = textwrap.wrap(" ".join(words), width - len(start), break_on_hyphens=False)
    return start + f"\n{indent}".join(lines)


def _folded(block: str, width: int) -> str:
    """Return an example's line, folded before its options."""
    first, *words = _WORDS.findall(block)
    lines = [f"  {first}"]
    for word in words:
        if len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append(f"      {word}")
        else:
            lines[-1] += f" {word}"
    return "\n".join(lines)


def _values(action: argparse.Action) -> float:
    """Return how many words an option takes, at most."""
    if action.nargs in (None, "?"):
        return 1
    return action.nargs if isinstance(action.nargs, int) else math.inf


class Parser(argparse.ArgumentParser):
    """A parser that names the nearest spelling of what it does not know.

    `defaults` has further words of a command line, by the option they set (`--models=models` by
    `--models`), which count where the user's words do not give that option.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Help, **options)
        self.defaults: Mapping[str, Sequence[str]] = {}

    def _print_message(self, message: str, file: object = None) -> None:
        """Print as all else is printed: argparse keeps to itself that stdout takes nothing."""
        if file is sys.stdout:
            print(message, end="")
        else:
            say(message.rstrip("\n"))

    def commands(self) -> dict[str, "Parser"]:
        """Return the parsers of the commands below this one, none in most."""
        groups = self._subparsers._group_actions if self._subparsers else ()
        return {
            name: child for group in groups for name, child in dict(group.choices or {}).items()
        }

    def options(self) -> list[str]:
        """Return every spelling of the options."""
        return list(self._option_string_actions)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse words; in a parser without commands below it, any word left over is an error."""
        words = list(args or ())
        if self._subparsers is None:
            words = self._completed(words)
        found, rest = super().parse_known_args(words, namespace)
        if rest and self._subparsers is None:
            self.error(f"unexpected {' '.join(rest)}")
        return found, rest

    def _completed(self, words: list[str]) -> list[str]:
        """Return the words and what `defaults` adds; refuses options that are none."""
        end = words.index("--") if "--" in words else len(words)
        given = {action for word in words[:end] for action in self._actions_of(word)}
        for group in self._mutually_exclusive_groups:
            if given & set(group._group_actions):
                given |= set(group._group_actions)
        added = [
            word
            for option, some in self.defaults.items()
            if self._option_string_actions[option] not in given
            for word in some
        ]
        return self._in_order(words[:end] + added) + words[end:]

    def _in_order(self, words: list[str]) -> list[str]:
        """Return the words with those before the options that belong to none.

        argparse gives all of them to arguments at the first one that it meets, `a` in `a --b c`.
        """
        own: list[str] = []
        others: list[str] = []
        wanted = 0.0  # values of the last option
        for word in words:
            found = self._actions_of(word)
            if found:
                is_joined = "=" in word or (len(word) > 2 and not word.startswith("--"))
                wanted = 0 if is_joined else _values(found[0])
                others.append(word)
            elif wanted:
                wanted -= 1
                others.append(word)
            else:
                own.append(word)
        return own + others

    def _actions_of(self, word: str) -> list[argparse.Action]:
        """Return the options that a word may mean, none for a value."""
        if not word.startswith("-") or word == "-" or _NUMBER.match(word):
            return []
        name, known = word.partition("=")[0], self._option_string_actions
        if name in known:
            return [known[name]]
        if not name.startswith("--"):
            found = known.get(name[:2])  # `-k5`
            return [found] if found else self._no_option(name)
        found_all = [action for option, action in known.items() if option.startswith(name)]
        return found_all or self._no_option(name)

    def _no_option(self, name: str) -> NoReturn:
        self.error(f"no option {name}{nearest(name, self._option_string_actions)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices: Iterable[Any] | None = action.choices
        if choices is not None and value not in choices:
            known = [str(one) for one in choices]
            told = f"{value!r} is none of {', '.join(known)}{nearest(str(value), known)}"
            raise argparse.ArgumentError(action, told)

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong and where help is, and exit with the code of usage."""
        given = f" (options from the settings: {' '.join(self.defaults)})" if self.defaults else ""
        say(f"{self.prog}: error: {' '.join(message.split())}{given}; see {self.prog} --help")
        raise SystemExit(USAGE)
