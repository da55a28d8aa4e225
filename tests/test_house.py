"""The house rules that a reader can count: short functions, short files, typed public names."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "cgcython").rglob("*.py"))
FOLDERS = ("cgcython", "asv_bench", "tests")
ALL = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
# The reference kernels have the types of the stubs that stand beside the compiled ones.
TYPED = [path for path in PACKAGE if path.parent.name != "reference"]
MOST_LINES, MOST_FUNCTION_LINES = 300, 40
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def functions_of(path):
    return [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, FUNCTIONS)]


def unannotated(function):
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    stars = [one for one in (arguments.vararg, arguments.kwarg) if one]
    given = [one for one in named + stars if one.arg not in ("self", "cls", "mcs")]
    return function.returns is None or any(one.annotation is None for one in given)


def name_of(path):
    return str(path.relative_to(ROOT))


def test_no_function_is_longer_than_forty_lines():
    lengths = [
        (name_of(path), one.name, one.end_lineno - one.lineno + 1)
        for path in ALL
        for one in functions_of(path)
    ]
    assert [one for one in lengths if one[-1] > MOST_FUNCTION_LINES] == []


def test_no_file_of_the_package_is_longer_than_three_hundred_lines():
    long = {name_of(path): len(path.read_text().splitlines()) for path in PACKAGE}
    assert {name: n for name, n in long.items() if n > MOST_LINES} == {}


def test_every_public_function_is_annotated():
    public = [
        (name_of(path), one)
        for path in TYPED
        for one in functions_of(path)
        if not one.name.startswith("_")
    ]
    assert [(name, one.name) for name, one in public if unannotated(one)] == []
