"""Methods that are measured by tasks, in any order, have the figures of one process."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from cgcython.base import Profile
from cgcython.errors import InvalidInput, UsageError
from cgcython.evaluation import method_jobs, representations
from cgcython.evaluation.choices import dense_methods, own_kinds, trained_methods
from cgcython.evaluation.method_jobs import MethodsJob, compare_job, tasks_of
from cgcython.evaluation.methods import FLOAT32

DIM = 16
PROFILE = Profile.from_toml(f'E8 = {{ dimension = {DIM}, method = "float8_e4m3" }}')
ROWS = np.random.default_rng(5).standard_normal((600, DIM), dtype=np.float32)


@pytest.fixture
def job(tmp_path):
    np.save(tmp_path / "docs.npy", ROWS)
    np.save(tmp_path / "queries.npy", ROWS[:9] + 0.2)
    inputs = [(f"E8={tmp_path}/{one}.npy",) for one in ("docs", "queries")]
    return MethodsJob(*inputs, PROFILE.to_toml(), seeds=2, sizes=(8,))


def judged(queries, memories):
    return [{one: 1, (one * 7) % memories: 2} for one in range(queries)]


def backwards(function, tasks):
    for task in reversed(tasks):
        travelled = pickle.loads(pickle.dumps(function))
        yield task, pickle.loads(pickle.dumps(travelled(task)))


def figures(rows):
    return [replace(row, encode_us=None, scan_ns=None).as_dict() for row in rows]


@pytest.fixture
def few(monkeypatch):
    """Measure two untrained methods and product quantization, without timing them for long."""
    monkeypatch.setattr(method_jobs, "dense_methods", lambda dim: dense_methods(dim)[:2])
    plain, rotated, *_ = own_kinds(DIM, [8])
    kinds = [plain._replace(scans=rotated.scans)]
    monkeypatch.setattr(method_jobs, "own_kinds", lambda *some: kinds)
    monkeypatch.setattr(representations, "SCANNED_ROWS", 1000)
    monkeypatch.setattr(representations, "MOST_REPEATS", 2)


@pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
@pytest.mark.usefixtures("few")
def test_tasks_give_the_figures_of_one_process(job):
    heard = []
    found = compare_job(job, judged, run=backwards, hear=lambda *one: heard.append(one))
    assert figures(found) == figures(compare_job(job, judged))
    assert (found[0].method, heard[0][:2], heard[-1]) == (FLOAT32, (0, 7), (7, 7, FLOAT32))


def test_scans_of_the_same_codebooks_are_one_task():
    methods = dense_methods(DIM) + trained_methods(ROWS, None, own_kinds(DIM, [8]), seeds=2)
    names = {
        tuple(methods[number].name for number in task.methods)
        for task in tasks_of(methods)
        if len(task.methods) > 1
    }
    assert len(names) == len([one for one in own_kinds(DIM, [8]) if len(one.scans) > 1]) > 0


def test_the_error_of_a_task_ends_the_comparison(job):
    def run(function, tasks):
        yield tasks[0], InvalidInput(what="rows", expected="others", actual="these")

    with pytest.raises(InvalidInput, match="expected others"):
        compare_job(job, run=run)


def test_queries_of_another_embedder_are_named_without_secrets(job, tmp_path):
    np.save(tmp_path / "other.npy", np.zeros((2, 20)))
    profile = Profile.from_toml(PROFILE.to_toml() + '\nE9 = { dimension = 20, method = "binary" }')
    other = replace(job, queries=(f"E9={tmp_path}/other.npy",), profile=profile.to_toml())
    with pytest.raises(UsageError, match=r"--queries E9=.*other.npy are not of E8"):
        compare_job(other)
    assert "secret" not in repr(replace(job, train="s3://me:secret@host/x.npy"))
