"""The page on search is true: its snippets print what they show."""

import doctest
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "SEARCH.md").read_text()


def test_snippets_print_what_they_show():
    text = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))
    test = doctest.DocTestParser().get_doctest(text, {}, "SEARCH.md", "page", 0)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
    assert result.attempted >= 10
