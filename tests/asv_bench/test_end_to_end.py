"""Whole searches beside others': how ways are timed, judged and printed, and that they run."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "asv_bench"
TRUTH = [set(range(10)), set(range(10, 20))]


@pytest.fixture
def timing(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("side_by_side.timing")


def figure(timing, name, milliseconds, recall=1.0, theirs=False):
    return timing.Figure("work", name, theirs, milliseconds, recall, 1.0)


def test_ours_is_held_against_the_fastest_other_that_finds_as_much(timing):
    line = timing.Line("work", [], TRUTH, recall=0.9)
    figures = [
        figure(timing, "quick and poor", 0.1, recall=0.5),
        figure(timing, "ours", 2.0, recall=0.95),
        figure(timing, "their poor one", 0.2, recall=0.8, theirs=True),
        figure(timing, "their best", 3.0, recall=0.9, theirs=True),
        figure(timing, "their slow one", 9.0, recall=1.0, theirs=True),
    ]
    assert timing.verdict(line, figures) == 1.5
    assert np.isnan(timing.verdict(line, figures[:2]))
    assert timing.verdict(line, [figures[0], figures[3]]) == 0


def test_recall_is_that_of_all_queries_and_counts_equals_of_the_last(timing):
    ways = [timing.Way("half", lambda i: [*range(10 * (i % 2), 10 * (i % 2) + 5)])]
    (found,) = timing.timed(timing.Line("work", ways, TRUTH), rounds=20)
    assert found.recall == 0.5
    scores = np.array([[3.0, 1.0, *[2.0] * 10]], np.float32)
    assert timing.best_rows(scores) == [{0, *range(2, 12)}]


def test_others_get_the_least_setting_that_finds_enough(timing):
    way = timing.tuned(
        "hnsw", lambda i, depth: list(TRUTH[i % 2])[:depth], (2, 8, 10), TRUTH, 0.8, 4.0
    )
    assert (way.name, way.theirs, len(way.find(0))) == ("hnsw 8", True, 8)


def test_a_late_line_ends_with_1_where_limits_are_asked_for(timing, monkeypatch, capsys):
    script = importlib.import_module("end_to_end")
    ways = [timing.Way("ours", lambda i: sorted(TRUTH[i % 2]))]
    theirs = [timing.Way("theirs", lambda i: sorted(TRUTH[i % 2]), theirs=True)]
    lines = [timing.Line("work", ways + theirs, TRUTH, least=1e9)]
    monkeypatch.setitem(script.GROUPS, "small", lambda args: iter(lines))
    assert script.main(["small", "--rounds", "8"]) == 0
    assert script.main(["small", "--rounds", "8", "--limits"]) == 1
    assert capsys.readouterr().out.count("LATE") == 2
    script.main(["small", "--rounds", "8", "--json"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["name"], one["nbytes"]) for one in found] == [("ours", None), ("theirs", None)]
    with pytest.raises(SystemExit):
        script.main(["smal"])
