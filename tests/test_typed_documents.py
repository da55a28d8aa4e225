"""The examples of README and docs pass `mypy --strict`, line by line; a wrong call does not.

A page becomes a module with its code on the same lines, so that what mypy says names the line of
the page.
"""

import re
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?<=^```python\n).*?(?=^```)", re.S | re.M)
WRONG = """\
from cgcython import FingerprintStore

with FingerprintStore.open("memories") as store:
    store.search({}, k="ten")
"""


def module_of(page):
    """Return the file name of a page's code, which no file of the package bears."""
    return f"{page.stem.lower()}_page.py"


def code_of(page):
    """Return the code of a page, each line where it stands; what examples print is left out."""
    text = page.read_text()
    lines = [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start())
        for number, line in enumerate(block[0].splitlines(), first):
            lines[number] = _statement(line) if ">>> " in block[0] else line
    return "\n".join(lines) + "\n"


def _statement(line):
    return line[4:] if line.startswith((">>> ", "... ")) else ""


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """Return what mypy says of all pages, and of a wrong call, in one run."""
    folder = tmp_path_factory.mktemp("pages")
    for page in PAGES:
        (folder / module_of(page)).write_text(code_of(page))
    (folder / "wrong_page.py").write_text(WRONG)
    options = ["--strict", "--allow-redefinition", "--no-error-summary", "--hide-error-context"]
    config = [
        "--config-file",
        str(ROOT / "pyproject.toml"),
        "--cache-dir",
        str(ROOT / ".mypy_cache"),
    ]
    out, err, _ = api.run([*options, *config, *map(str, sorted(folder.glob("*.py")))])
    assert err == ""
    return re.findall(r"\b(\w+_page\.py:.* error: .*)$", out, re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_type_check(complaints, page):
    assert [line for line in complaints if line.startswith(module_of(page))] == []


def test_a_wrong_call_does_not(complaints):
    (line,) = [line for line in complaints if line.startswith("wrong_page.py:4:")]
    assert "[arg-type]" in line
