"""Where no scheduler is asked for nothing of Dask is needed; without Dask the remedy is named."""

import sys

import pytest

from cgcython.cluster.opening import open_runner
from cgcython.errors import InvalidInput, UsageError
from cgcython.runners import InProcess


def test_without_a_scheduler_work_is_done_here():
    with open_runner(None) as runner:
        assert isinstance(runner, InProcess)
        assert (runner.num_workers, runner.dashboard) == (1, None)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"need Dask: pip install 'cgcython\[cluster\]'"):
        open_runner("threads").__enter__()


@pytest.mark.parametrize("scheduler", ["", "slurm", "localhost:8786", 5])
def test_other_schedulers_are_refused(scheduler):
    with pytest.raises(InvalidInput, match="threads, processes or an address"):
        open_runner(scheduler).__enter__()


@pytest.mark.parametrize("options", [{"num_workers": 0}, {"threads_per_worker": 1.5}])
def test_numbers_of_workers_and_threads_are_whole(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        open_runner("processes", **options).__enter__()


def test_an_address_has_its_own_workers():
    with pytest.raises(UsageError, match="has its own workers"):
        open_runner("tcp://127.0.0.1:9", num_workers=3).__enter__()
