"""The commands and the Python of docs/SCALE.md work as they stand, on two workers."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from cgcython.cli import main
from cgcython.store.shard_manifest import read_manifest

pytestmark = pytest.mark.cluster
PAGE = (Path(__file__).parents[2] / "docs" / "SCALE.md").read_text()
ADDRESS = "tcp://10.0.0.1:8786"
ROWS = 600


def of_low_rank(rng, rows, dim):
    """Return vectors that few bytes keep well."""
    factors = np.random.default_rng(dim).standard_normal((6, dim))
    return (rng.standard_normal((rows, 6)) @ factors).astype(np.float32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder, which has the inputs that the page names."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, dim in (("e1", 1024), ("e8", 384), ("e9", 1024)):
        rows = of_low_rank(rng, ROWS, dim)
        np.save(f"{name}.npy", rows)
        np.save(f"q{name[1]}.npy", rows[:9])
    np.save("qrels.npy", np.stack([np.arange(9), np.arange(9), np.ones(9, int)], axis=1))
    return tmp_path


@pytest.mark.filterwarnings("ignore::cgcython.codecs.training.CodebookWarning")
def test_the_commands_run_one_after_the_other(folder, address, capsys):
    block = next(one for one in re.findall(r"```sh\n(.*?)```", PAGE, re.S) if "train E1" in one)
    for line in block.replace(ADDRESS, address).splitlines():
        program, *words = shlex.split(line)
        assert (program, main(words)) == ("cgcython", 0), line
    assert read_manifest("shards").memories == ROWS
    assert "similarity" in capsys.readouterr().out


def test_the_python_encodes_the_same(folder, address):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(block.replace(ADDRESS, address), {})
    assert read_manifest("shards").memories == ROWS
