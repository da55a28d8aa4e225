"""Rounds of training tasks, in this process: whatever the order in which they end."""

from dataclasses import replace

import numpy as np
import pytest

from cgcython import Profile
from cgcython.cluster.training import train_all
from cgcython.cluster.training_tasks import TrainingJob, train_here
from cgcython.errors import InvalidInput
from cgcython.runners import run_here

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
PROFILE = Profile(
    {"E1": {"dimension": 16, "method": "pq8"}, "E4": {"dimension": 48, "method": "pq8"}}
).to_toml()
LIMIT = 0.05


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    rng = np.random.default_rng(3)
    np.savez(path, E1=rng.standard_normal((300, 16)), E4=rng.standard_normal((300, 48)))
    places = {name: (name, f"{name}={path}", PROFILE, "pq8") for name in ("E1", "E4")}
    return [TrainingJob(*places[name], rotation=None) for name in places]


def backwards(function, items):
    return reversed(list(run_here(function, items)))


def test_codebooks_and_trials_are_those_of_one_process_whatever_ends_first(jobs):
    expected = [train_here(job, LIMIT) for job in jobs]
    for run in (run_here, backwards):
        found = train_all(jobs, [LIMIT, LIMIT], run)
        assert [book.to_bytes() for book, _ in found] == [b.to_bytes() for b, _ in expected]
        assert [trials for _, trials in found] == [trials for _, trials in expected]


def test_the_error_of_one_job_costs_no_other(jobs):
    few = replace(jobs[0], size=8, sample=8)
    no_size = replace(jobs[1], size=9)
    ended = train_all([few, no_size, jobs[1], replace(jobs[0], size=8)], [LIMIT] * 4, run_here)
    assert [type(one) for one in ended[:2]] == [InvalidInput, InvalidInput]
    assert [len(book.metadata["held_out_loss_interval"]) for book, _ in ended[2:]] == [2, 2]


@pytest.mark.parametrize(("tasks", "is_found"), [(0, [False, False]), (1, [True, False])])
def test_ctrl_c_ends_all_with_the_best_so_far(jobs, tasks, is_found):
    def pressed(function, items):
        for number, one in enumerate(run_here(function, items)):
            if number == tasks:
                raise KeyboardInterrupt
            yield one

    found = train_all(jobs, [LIMIT, LIMIT], pressed)
    assert [one is not None for one in found] == is_found
    for book, trials in filter(None, found):
        assert (book.metadata["interrupted"], len(trials)) == (True, tasks)


def test_jobs_show_no_places(jobs):
    job = replace(jobs[0], rows="E1=s3://me:secret@bucket/a.npy")
    assert "secret" not in repr(job)
