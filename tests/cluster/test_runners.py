"""Runners keep what they promise, in this process and on workers."""

import os
from dataclasses import replace
from functools import partial
from unittest.mock import Mock

import pytest
from cluster import worker_tasks as tasks

import cgcython
from cgcython.cluster.opening import open_runner
from cgcython.cluster.tasks import Task
from cgcython.errors import UsageError, WorkersLost

pytestmark = pytest.mark.cluster


def test_every_item_comes_back_with_its_result(runner):
    assert dict(runner.run(tasks.square, range(30))) == {n: n * n for n in range(30)}


def test_errors_of_this_package_come_back_as_values(runner):
    found = dict(runner.run(tasks.refuse_odd, range(4)))
    assert {n: found[n] for n in (0, 2)} == {0: 0, 2: 2}
    assert [str(found[n]) for n in (1, 3)] == [
        f"[EMB-E018] number: expected an even one, got {n}" for n in (1, 3)
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
def test_other_errors_are_raised(runner, error):
    with pytest.raises(error):
        list(runner.run(partial(tasks.fail_at_three, error), range(6)))


def test_processes_are_two_others(processes):
    found = {process for _, process in processes.run(tasks.process_of, range(12))}
    assert len(found) == processes.num_workers == 2
    assert os.getpid() not in found


def test_items_are_drawn_as_workers_become_free(runner):
    drawn = []
    items = (drawn.append(n) or n for n in range(1000))
    next(iter(runner.run(tasks.square, items)))
    assert len(drawn) < 20


def test_a_closed_run_begins_nothing_more(processes, tmp_path):
    running = processes.run(partial(tasks.touch, tmp_path), range(1000))
    next(running)
    running.close()
    list(processes.run(tasks.square, range(4)))
    assert len(list(tmp_path.iterdir())) < 30


def test_a_killed_worker_costs_its_task_and_nothing_else(processes, tmp_path):
    found = dict(processes.run(partial(tasks.die_once, tmp_path), range(12)))
    assert found == {n: n for n in range(12)}
    assert (tmp_path / "killed").exists()


def test_a_task_that_kills_every_worker_is_an_error_of_its_own():
    from distributed.scheduler import KilledWorker

    from cgcython.cluster.dask_runner import _result

    future = Mock(result=Mock(side_effect=KilledWorker("key", None, 3)))
    assert str(_result(future)).startswith("[EMB-E019] workers died: 4 died of this one; give")


def test_a_result_that_was_lost_with_its_worker_is_made_again(processes, monkeypatch):
    from cgcython.cluster import dask_runner

    results = iter([dask_runner._LostError])
    found = dask_runner._result

    def lost_once(future):
        for error in results:
            raise error
        return found(future)

    monkeypatch.setattr(dask_runner, "_result", lost_once)
    assert dict(processes.run(tasks.square, range(5))) == {n: n * n for n in range(5)}


def test_where_no_worker_is_left_the_run_ends(monkeypatch):
    from cgcython.cluster import dask_runner

    monkeypatch.setattr(dask_runner, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(dask_runner, "GONE_SECONDS", 0.05)
    client = Mock(nthreads=Mock(return_value={}))
    with pytest.raises(WorkersLost, match="none is left"):
        list(dask_runner.DaskRunner(client, "processes").run(tasks.square, range(5)))
    client.cancel.assert_called_once()


def test_the_scheduler_of_an_address_is_used_as_it_is(address):
    with open_runner(address) as runner:
        assert dict(runner.run(tasks.square, range(5))) == {n: n * n for n in range(5)}
        assert runner.num_workers == 2


def test_workers_of_another_version_are_refused(address, monkeypatch):
    monkeypatch.setattr("cgcython.cluster.dask_cluster.__version__", "9.9.9")
    with pytest.raises(UsageError, match=r"has cgcython .*, this process 9\.9\.9; install"):
        open_runner(address).__enter__()


def test_a_task_is_refused_by_a_worker_of_another_version(processes):
    task = replace(Task(tasks.square, 3, cgcython.__version__), version="9.9.9")
    with pytest.raises(UsageError, match="this worker has cgcython"):
        task()


def test_dask_sees_neither_function_nor_item():
    task = Task(partial(tasks.square), "postgresql://me:secret@host", "1")
    assert repr(task) == str(task) == "<a task of cgcython>"


def test_what_workers_log_of_an_error_has_no_arguments(processes):
    with pytest.raises(ValueError, match="an error of its own"):
        list(processes.run(partial(tasks.fail_with, "secret word"), ["secret item"]))
    assert "an error of its own" in processes.logs()
    assert "secret" not in processes.logs()


def test_where_no_scheduler_answers_the_error_says_how_to_start_one(monkeypatch):
    monkeypatch.setattr("cgcython.cluster.dask_cluster.ANSWER_SECONDS", 0.5)
    with pytest.raises(UsageError, match=r"no scheduler at tcp://127.0.0.1:9: .*dask scheduler"):
        open_runner("tcp://127.0.0.1:9").__enter__()


def test_workers_leave_no_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_runner("processes", num_workers=1) as runner:
        list(runner.run(tasks.square, range(3)))
        assert [path.name[:17] for path in tmp_path.iterdir()] == ["cgcython-workers-"]
    assert list(tmp_path.iterdir()) == []
