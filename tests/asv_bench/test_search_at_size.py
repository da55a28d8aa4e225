"""The benchmark of search runs at a small size and prints a line per mix and number of threads."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "asv_bench"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("search_at_size")


def test_it_prints_a_line_per_mix_and_number_of_threads(script, capsys):
    assert script.main(["--records", "600", "--queries", "2", "--threads", "1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 2 * len(script.MIXES)
    assert all(float(line.split()[3]) > 0 for line in lines[1:])


def test_it_compares_guides_and_graphs_with_scans(script, capsys):
    arguments = ["--records", "700", "--queries", "40", "--approximate", "--embedders", "E9"]
    assert script.main(arguments) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    found = [(*line[:2], float(line[2]) >= 0.8) for line in lines]
    assert found == [("E9", "guide", True), ("E9", "graph", True)]


@pytest.mark.real
def test_it_takes_realistic_records(script, data, capsys):
    arguments = ["--records", "2048", "--queries", "20", "--approximate", "--embedders", "E8,E9"]
    assert script.main([*arguments, "--realistic", str(data)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    found = [(*line[:2], float(line[2]) >= 0.9) for line in lines]
    assert found == [(one, way, True) for one in ("E8", "E9") for way in ("guide", "graph")]


def test_it_times_files(script, capsys):
    assert script.main(["--records", "600", "--files"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert names == ["E1", "E2", "E7", "E8", "E9"]
