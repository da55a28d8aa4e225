"""A new user's first hour: two embedders of their own, text for ids, a Parquet file, a filter.

No command may fail.
"""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

PROFILE = """
minilm = { dimension = 384, method = "pq8", bytes = 48 }
colours = { dimension = 64, method = "float8_e4m3" }
"""
MEMORIES = 600
RUN = [
    "cgcython train minilm --input train.npy --models models --profile mine.toml --rotation pca",
    "cgcython encode docs.parquet --profile mine.toml --models models --store memories",
    "cgcython search queries.parquet --store memories -k 3"
    """ --where '{"lang": "en", "year": {"$gte": 1900}}' --metadata --json""",
    "cgcython get memories doc-7 --json",
    "cgcython export memories --out out.parquet --embedders colours",
    "cgcython delete memories doc-7 --yes",
    "cgcython verify memories",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with what the user has: a profile, a table, queries and training rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(11)
    centres = rng.standard_normal((50, 384))

    def near(count):
        rows = centres[rng.integers(0, 50, count)] + 0.3 * rng.standard_normal((count, 384))
        return rows.astype(np.float32)

    columns = {
        "id": [f"doc-{row}" for row in range(MEMORIES)],
        "minilm": list(near(MEMORIES)),
        "colours": list(rng.standard_normal((MEMORIES, 64)).astype(np.float32)),
        "lang": ["en" if row % 2 else "de" for row in range(MEMORIES)],
        "year": [1424 + row for row in range(MEMORIES)],
    }
    np.save("train.npy", near(400))
    pq.write_table(pa.table(columns), "docs.parquet")
    pq.write_table(pa.table(columns).slice(501, 2), "queries.parquet")
    (tmp_path / "mine.toml").write_text(PROFILE)
    return tmp_path


def _typed(command):
    """Run a command as a shell does, in a process of its own."""
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def called(cli):
    """Return a function that runs a command in this process."""

    def run(command):
        result = cli(*shlex.split(command)[1:])
        assert result.code == 0, f"{command}\n{result.err}"
        return result.out

    return run


def test_no_command_of_a_first_run_fails(place, called):
    _require_answers([called(command) for command in RUN])


def test_the_page_s_first_run_works(place, called):
    page = (Path(__file__).parents[2] / "docs" / "CLI.md").read_text()
    section = page.partition("## A first run\n")[2].partition("\n## ")[0]
    line = re.search(r"^`(minilm = .*)`:$", section, re.MULTILINE)[1]
    (place / "mine.toml").write_text(line)
    for name in ("docs.parquet", "queries.parquet"):
        pq.write_table(pq.read_table(name).drop_columns("colours"), name)
    commands = re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1].splitlines()
    printed = [called(command) for command in commands]
    assert "doc-501" in printed[1]
    assert "metadata: {'lang': 'en', 'year': 1431}" in printed[2]


@pytest.mark.slow
def test_a_first_run_takes_no_three_minutes(place):
    started = perf_counter()
    _require_answers([_typed(command) for command in RUN])
    assert perf_counter() - started < 180


def _require_answers(printed):
    hits = [json.loads(line)["hits"] for line in printed[2].splitlines()]
    assert hits[0][0]["id"] == "doc-501"
    assert all(hit["metadata"]["lang"] == "en" for hit in hits[0] + hits[1])
    assert all(hit["metadata"]["year"] >= 1900 for hit in hits[0] + hits[1])
    memory = json.loads(printed[3])
    assert memory["metadata"] == {"lang": "en", "year": 1431}
    assert set(memory["embeddings"]) == {"minilm", "colours"}
    exported = pq.read_table("out.parquet").to_pydict()
    assert set(exported) == {"id", "colours", "lang", "year"}
    assert "doc-7" in exported["id"]
