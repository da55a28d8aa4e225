"""docs/ARRAYS.md shows what its examples print."""

import doctest
from pathlib import Path

from zarr.registry import register_codec

from cgcython.adapters.zarr import Float8

PAGE = Path(__file__).parents[2] / "docs" / "ARRAYS.md"


def test_examples_print_what_they_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_codec("cgcython.float8", Float8)  # as the entry point does where it is installed
    blocks = PAGE.read_text().split("```")[1::2]
    text = "\n".join(block.removeprefix("python\n") for block in blocks)
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    result = doctest.DocTestRunner().run(test)
    assert (result.failed, result.attempted > 25) == (0, True)
