"""The page on the command line is true: its snippets print what they show."""

import doctest
import re
from pathlib import Path

from cgcython.cli import COMMANDS

PAGE = (Path(__file__).parents[2] / "docs" / "CLI.md").read_text()


def test_snippets_print_what_they_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    test = doctest.DocTestParser().get_doctest(text, {}, "CLI.md", "page", 0)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
    assert result.attempted >= 8


def test_every_command_is_shown():
    shown = set(re.findall(r"^cgcython (\w+)", PAGE, re.M))
    assert shown == set(COMMANDS)
