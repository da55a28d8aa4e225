"""What workers promise is judged by the bytes of folders, and the exit status tells."""

import importlib
from contextlib import nullcontext
from pathlib import Path

import pytest

from cgcython import ModelId
from cgcython.runners import InProcess

FOLDER = Path(__file__).parents[2] / "asv_bench"
pytest.importorskip("psutil")


@pytest.fixture
def script(monkeypatch):
    """Return the script, which makes few inputs and works in this process."""
    monkeypatch.syspath_prepend(FOLDER)
    found = importlib.import_module("cluster_shards")
    monkeypatch.setattr(importlib.import_module("scale_inputs"), "BLOCK", 64)
    monkeypatch.setattr(found, "EMBEDDERS", [ModelId.GRAPH])
    monkeypatch.setattr(found, "LEVELS", ())
    monkeypatch.setattr(found, "open_runner", lambda *_, **__: nullcontext(InProcess()))
    return found


def test_equal_folders_are_equal(script, capsys):
    assert script.main(["equal", "--rows", "60"]) == 0
    assert capsys.readouterr().out.endswith("2 processes: yes\n")


def test_a_byte_that_differs_is_found(script, monkeypatch, capsys):
    encode = script.Bench.encode

    def damaging(bench, *arguments):
        out = encode(bench, *arguments)
        (out / "profile.toml").write_text(f"# {out.name}\n")
        return out

    monkeypatch.setattr(script.Bench, "encode", damaging)
    assert script.main(["equal", "--rows", "60"]) == 1
    assert capsys.readouterr().out.endswith(": NO\n")
