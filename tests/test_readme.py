"""The README is true: its commands, its snippets, its figures, its links."""

import doctest
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = [
    'pip install ".[store]" && sh examples/cranfield/run.sh',
    'pip install -e ".[test]" && python -m pytest -q -n auto',
]


def blocks(language, text=README):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def test_the_two_commands_come_first():
    assert blocks("sh")[0].splitlines() == COMMANDS


def test_snippets_print_what_they_show(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks("python"))
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0
    assert result.attempted >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture(scope="module")
def main_job(tmp_path_factory):
    """Return what the main job prints, run by the `cgcython` under test."""
    folder = tmp_path_factory.mktemp("main_job")
    command = folder / "cgcython"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cgcython "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(folder), os.environ["PATH"], ""])
    script = ["sh", ROOT / "examples/cranfield/run.sh", folder / "work"]
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def figures(text, first):
    """Return the cells of the line that begins with a word, without its separators."""
    lines = (line.replace("|", " ").split() for line in text.splitlines())
    return next(line for line in lines if line and line[0] == first)


def numbers(cells):
    return [float(cell.rstrip(" %")) for cell in cells if cell]


def table_line(first):
    """Return the figures of the README's line: bytes, as float32, then loss and nDCG@10."""
    line = next(line for line in README.splitlines() if line.startswith(f"| {first}"))
    return numbers([cell.strip() for cell in line.strip("|").split("|")][2:])


def agree(promised, printed):
    """Bytes are equal; training in float32 leaves the rest to the machine's last bits."""
    assert promised[:2] == printed[:2]
    assert promised[2:] == pytest.approx(printed[2:], rel=0.02, abs=0.01)


@pytest.mark.parametrize("embedder", ["E1", "E6", "E8", "E9", "E11", "E12"])
def test_the_table_is_what_the_main_job_prints(main_job, embedder):
    printed = figures(main_job.partition("cgcython eval")[2], embedder)
    _, _, _, _, stored, plain, _, loss, _, _, _, exact, coded, *_ = printed
    agree(table_line(f"{embedder} "), numbers([stored, plain, loss, coded, exact]))


def test_the_total_is_what_the_main_job_prints(main_job):
    _, _, _, _, stored, plain, _, _, _, _, _, exact, coded, *_ = figures(main_job, "fused")
    agree(table_line("all fused"), numbers([stored, plain, coded, exact]))
