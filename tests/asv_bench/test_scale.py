"""Predictions follow from rates by arithmetic, and the script measures, predicts and checks."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from cgcython import ModelId, Profile, open_corpus

FOLDER = Path(__file__).parents[2] / "asv_bench"
MACHINES = {"cores": 2, "memory": 16e9, "network": 1e9}
CLUSTER = {**MACHINES, "round_trip": 0.001, "target": 0.1}


@pytest.fixture
def model(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module("scale_model")


@pytest.fixture
def rates(model):
    """Return rates of round numbers: a query of E8 and E9 takes 60 ns a row, 30 of them fusing."""
    found = importlib.import_module("scale_rates")
    line, machine = found.Line, found.Machine(2, 16e9, 20e9, 20e9)
    e8 = found.EmbedderRates(1536, 400, line(0, 1e-6), line(0, 1e-6), None, line(0, 10e-9), None)
    e9 = found.EmbedderRates(4096, 100, line(0, 1e-6), line(0, 1e-6), None, line(0, 10e-9), None)
    lines = line(0.1, 3e-6), ("E8", "E9"), line(0, 1e-6), line(0, 50e-9), line(0, 40e-9), line(0, 0)
    return found.Rates(machine, {"E8": e8, "E9": e9}, 16, *lines, 0.0)


def test_a_scan_takes_as_long_as_its_arithmetic_or_the_reading(model, rates):
    assert model.scan_seconds(rates, "E9", 10**6) == pytest.approx(10e-3)
    assert model.scan_seconds(rates, "E8", 10**6) == pytest.approx(20e-3)
    assert model.scan_seconds(rates, "E8", 10**6, cores=2) == pytest.approx(20e-3)


def test_a_fused_query_takes_its_scans_and_what_fusing_adds(model, rates):
    assert model.query_seconds(rates, 10**6) == pytest.approx(60e-3)


def test_bytes_and_seconds_are_those_of_all_embedders(model, rates):
    found = model.plan(rates, 10**6, model.Cluster(**CLUSTER))
    assert (found.input_bytes, found.stored_bytes) == (5632e6, 516e6)
    assert found.encode == pytest.approx(6.2 + 3)  # 62 shards of 0.1 s, 3 us a memory
    assert (found.train, found.memory_machines) == (0, 1)


def test_as_few_machines_answer_in_time_as_can(model, rates):
    cluster = model.Cluster(**CLUSTER)
    found = model.plan(rates, 10**8, cluster).exact_machines

    def seconds(machines):
        rows = 10**8 / machines
        return cluster.round_trip + model.query_seconds(rates, rows, cores=2)

    assert seconds(found) <= cluster.target < seconds(found * 0.97)


def test_no_number_of_machines_answers_faster_than_they_can_be_asked(model, rates):
    slow = model.Cluster(**CLUSTER | {"round_trip": 0.2})
    found = model.plan(rates, 10**8, slow)
    assert found.exact_machines == 0
    assert found.bottleneck.startswith("exact queries, 60 ns a row")
    assert "fan-out: merging" in found.bottleneck


def test_what_merging_takes_limits_how_many_machines_help(model, rates):
    line = type(rates.merging)
    costly = rates._replace(merging=line(0, 1e-3))  # a hundred machines take all of 100 ms
    cluster = model.Cluster(**CLUSTER)
    assert model.plan(costly, 10**7, cluster).exact_machines > 0
    assert model.plan(costly, 10**9, cluster).exact_machines == 0


def test_the_bottleneck_moves_with_the_number_of_memories(model, rates):
    cluster = model.Cluster(**CLUSTER)
    told = [model.plan(rates, number, cluster).bottleneck for number in (10**6, 10**8, 10**10)]
    assert [one.partition(",")[0] for one in told[:2]] == ["nothing", "exact queries"]
    assert told[2].startswith("reading inputs; exact queries")
    assert told[2].endswith("more than 1,000 machines")


def test_inputs_have_the_sizes_of_the_profile_and_no_two_are_equal(model, monkeypatch, tmp_path):
    inputs = importlib.import_module("scale_inputs")
    monkeypatch.setattr(inputs, "BLOCK", 40)
    names = [ModelId.GRAPH, ModelId.SPARSE, ModelId.LATE_INTERACTION]
    corpus = open_corpus(inputs.write_inputs(tmp_path, Profile.named(), names, 90))
    assert corpus.num_memories == 90
    dense, sparse, tokens = (corpus[one].embeddings for one in names)
    assert len(np.unique(dense.batch(0, 90), axis=0)) == 90
    assert len({sparse[row].indices.tobytes() for row in range(90)}) == 90
    assert np.mean([len(sparse[row].indices) for row in range(90)]) == pytest.approx(1526, rel=0.05)
    assert {tokens[row].shape for row in range(90)} == {(32, 128)}


@pytest.fixture
def script(model, monkeypatch):
    monkeypatch.setattr(importlib.import_module("scale_inputs"), "BLOCK", 32)
    searches = importlib.import_module("scale_searches")
    monkeypatch.setattr(searches, "QUERIES", 3)
    monkeypatch.setattr(searches, "BATCH", 4)
    monkeypatch.setattr(importlib.import_module("scale_rates"), "ROUNDS", 1)
    monkeypatch.setattr(importlib.import_module("scale_rates"), "READ", 1 << 20)
    return importlib.import_module("scale")


ARGUMENTS = ["--embedders", "E6,E8,E12", "--rows", "64", "--plan", "1e6,1e8"]


def test_it_prints_rates_and_plans_and_draws(script, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot = tmp_path / "plot.svg"
    arguments = ["--near", "64", "--plot", str(plot), "--folder", str(tmp_path)]
    assert script.main([*ARGUMENTS, *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.partition(" ")[0] for line in lines]
    assert {"E6", "E8", "E12", "input,", "stored", "reordering", "approximate:"} < set(starts)
    assert sum(line.startswith("short at") for line in lines) == 2
    assert [one.name for one in tmp_path.iterdir() if one.stat().st_size] == ["plot.svg"]


def test_a_prediction_is_close_within_a_quarter_of_what_came(model):
    line = importlib.import_module("scale_check").Line
    assert [line("x", each, 100.0).is_close for each in (76, 124, 74, 126)] == [True] * 2 + [
        False
    ] * 2


def test_the_check_fails_where_a_prediction_is_far_off(script, monkeypatch, capsys):
    monkeypatch.setattr(importlib.import_module("scale_check"), "MOST", -1.0)
    assert script.main(["--embedders", "E8,E9", "--rows", "64", "--check", "200"]) == 1
    table = capsys.readouterr().out.partition("200 memories")[2].splitlines()[1:]
    names = ["input", "encode,", "stored", "load,", "query,", "query"]
    assert [line.split()[0] for line in table if "more than" in line] == names
