"""The page on late interaction is true: its snippets print what they show."""

import doctest
import re
from pathlib import Path

from cgcython.token_array import PRECISIONS

PAGE = (Path(__file__).parents[1] / "docs" / "LATE_INTERACTION.md").read_text()


def test_snippets_print_what_they_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    test = doctest.DocTestParser().get_doctest(text, {}, "LATE_INTERACTION.md", "page", 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert result.failed == 0
    assert result.attempted >= 10


def test_every_precision_has_a_line():
    lines = re.findall(r"^\| `(\w+)` ", PAGE, re.M)
    assert list(dict.fromkeys(lines)) == list(PRECISIONS)
