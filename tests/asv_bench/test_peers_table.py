"""The side-by-side table: fastest against fastest, precision by precision."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "asv_bench" / "peers_table.py"
SPEC = importlib.util.spec_from_file_location("peers_table", PATH)
peers_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(peers_table)


def result(peer, sec, prec="f32", task="scan", threads=1, noisy=False):
    keys = {"unit": "us", "value": sec * 1e6, "check": "equal"}
    return {
        "task": task, "peer": peer, "threads": threads, "prec": prec, "sec": sec, "noisy": noisy
    } | keys  # fmt: skip


def test_the_fastest_peer_of_our_precision_is_compared():
    results = [result("a", 5e-6), result("b", 3e-6), result("int", 1e-6, "i8")]
    (line,) = peers_table.lines([*results, result("cgcython", 2e-6)])
    assert (line.peer["peer"], line.ratio) == ("b", pytest.approx(1.5))


def test_a_precision_of_ours_alone_meets_the_fastest_of_all():
    results = [result("a", 5e-6), result("int", 1e-6, "i8"), result("cgcython", 2e-6, "E4M3")]
    (line,) = peers_table.lines(results)
    assert "int (i8)" in line.cells()
    assert line.ratio == pytest.approx(0.5)


def test_each_task_precision_and_thread_count_has_a_line():
    ours = [("f32", 1), ("f32", 2), ("E4M3", 1)]
    results = [result("cgcython", 1e-6, prec, threads=n) for prec, n in ours]
    results.append(result("cgcython rows", 9e-6))
    results.append(result("a", 1e-6, task="unshared"))
    found = [line.cells()[:3] for line in peers_table.lines(results)]
    assert found == [("scan", "f32", "1"), ("scan", "E4M3", "1"), ("scan", "f32", "2")]


def test_training_to_a_worse_loss_is_not_compared():
    losses = {"cgcython": 0.800, "worse": 0.820, "level": 0.801}
    results = [result(name, 1e-6) | {"check": f"rel MSE {x}"} for name, x in losses.items()]
    (line,) = peers_table.lines(results)
    assert line.peer["peer"] == "level"


def test_what_was_skipped_is_left_out_and_noise_is_marked():
    skipped = {"task": "scan", "peer": "a", "threads": 1, "skip": "not installed"}
    (line,) = peers_table.lines([skipped, result("cgcython", 2e-6, noisy=True)])
    assert line.cells()[3:7] == ("2~ us", "", "none", "")


def test_the_command_prints_markdown(tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([result("a", 5e-6), result("cgcython", 2e-6)]))
    peers_table.main([str(path)])
    table = capsys.readouterr().out
    assert "| scan | f32 | 1 | 2 us | 5 | a | 2.50 | equal |" in table
    assert "Of 1 lines whose precision a peer shares, ours is ahead on 1" in table
