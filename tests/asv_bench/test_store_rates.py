"""The rates and layouts of stores are measured on all peers, and nothing is lost meanwhile."""

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("lmdb")
pytestmark = pytest.mark.real
FOLDER = Path(__file__).parents[2] / "asv_bench"


@pytest.fixture
def script(monkeypatch):
    """Return a function that imports a script; they import each other by plain names."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == FOLDER:
            del sys.modules[name]


@pytest.mark.parametrize("durability", ["wal", "sync"])
def test_all_peers_keep_the_same_records(script, data, tmp_path, capsys, durability):
    rates = script("store_rates")
    options = ["--records", "300", "--pool", "20", "--durability", durability]
    code = rates.main([*options, "--data", str(data), "--path", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert code in (0, 1)  # no rate is measured on so few
    assert [line.split()[0] for line in lines[2:-1]] == list(rates.KINDS)
    assert "of the rate of bare rocksdict" in lines[-1]
    assert list(tmp_path.iterdir()) == []


def test_all_layouts_keep_the_same_records(script, data, tmp_path, capsys):
    layouts = script("store_layouts")
    options = ["--records", "50", "--pool", "20", "--data", str(data), "--path", str(tmp_path)]
    assert layouts.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:15].strip() for line in lines[2:]] == list(layouts.KINDS)
    assert list(tmp_path.iterdir()) == []
