"""`bench` times this machine; `--limits` fails where a budget is missed."""

import sys
from contextlib import contextmanager

import pytest

from cgcython.evaluation.bench import Task, measure

QUICK = "bench", "--rounds", 1, "--memories", 30


def test_every_task_is_timed_and_drawn(cli, tmp_path):
    pytest.importorskip("matplotlib")
    found = cli(*QUICK, "--json", "--plot", tmp_path / "bench.svg").json
    names = [one["name"] for one in found["timings"]]
    assert len(set(names)) == len(names) >= 16
    assert {"search 30 float8_e4m3", "search 30 binary"} <= set(names)
    assert all(0 < one["fastest_us"] <= one["median_us"] for one in found["timings"])
    assert b"</svg>" in (tmp_path / "bench.svg").read_bytes()


def test_needs_no_package_of_benchmarks(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "asv", None)
    _replace(monkeypatch, [Task("nothing", lambda: None, 1, 1e6, 1)])
    out = cli(*QUICK).out
    assert "nothing" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_missed_budget_fails_the_limits(cli, monkeypatch):
    _replace(monkeypatch, [Task("slow", lambda: sum(range(1000)), 1, 1e-3, 1)])
    result = cli(*QUICK, "--limits")
    assert result.code == 1
    assert "cgcython: over its budget: slow\n" in result.err
    assert cli(*QUICK).code == 0


def _replace(monkeypatch, tasks):
    @contextmanager
    def usual(memories):
        yield tasks

    monkeypatch.setattr("cgcython.cli.bench.usual_tasks", usual)


def test_tasks_take_turns():
    calls = []
    tasks = [Task(name, lambda name=name: calls.append(name)) for name in "ab"]
    measure(tasks, rounds=2)
    turns = "".join(calls).replace("aa", "a")
    while "aa" in turns or "bb" in turns:
        turns = turns.replace("aa", "a").replace("bb", "b")
    assert turns.endswith("abab")
