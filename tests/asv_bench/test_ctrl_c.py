"""The table of what Ctrl-C waits for has a line for each call, and notices one long piece."""

import importlib.util
import sys
from pathlib import Path

PATH = Path(__file__).parents[2] / "asv_bench" / "ctrl_c.py"
SPEC = importlib.util.spec_from_file_location("ctrl_c", PATH)
ctrl_c = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ctrl_c)


def test_a_call_in_one_piece_is_noticed():
    wait = ctrl_c.longest_wait(lambda: sum(range(10_000_000)))
    assert wait.clock > 0.05
    assert wait.processor > 0.02


def test_each_call_has_a_line(monkeypatch, capsys):
    monkeypatch.setattr(ctrl_c, "pure_calls", lambda: iter([("nothing", lambda: None)]))
    monkeypatch.setattr(sys, "argv", ["ctrl_c.py", "--records", "30"])
    ctrl_c.main()
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["call", "nothing", "graphs", "backup", "compact", "close", "open"]
