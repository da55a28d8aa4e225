"""docs/STORE.md shows what a store really does."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/STORE.md"


def test_the_examples_print_what_they_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S))
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, PAGE.name, 0)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
    assert result.attempted >= 40
