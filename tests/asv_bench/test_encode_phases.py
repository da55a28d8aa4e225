"""The phases of encoding a batch are told by method, and add up."""

import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "asv_bench"


@pytest.mark.real
def test_phases_are_printed_by_method(monkeypatch, capsys):
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    script = importlib.import_module("encode_phases")
    try:
        assert script.main(["--records", "6", "--rounds", "2"]) == 0
    finally:
        for name in set(sys.modules) - before:
            if name.startswith(("encode_phases", "benchmarks")):
                del sys.modules[name]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["gather", "encode", "frame"]
    figures = {line.split()[0]: list(map(float, line.split()[1:])) for line in lines[1:-1]}
    parts = sum(sum(found) for name, found in figures.items() if name != "whole")
    assert parts == pytest.approx(figures["whole"][0], abs=0.2)
    assert "on two" in lines[-1]
