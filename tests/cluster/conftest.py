"""Two worker processes for all tests of this folder, started once.

pytest -m cluster
"""

import pytest

WORKERS = 2


@pytest.fixture(scope="session")
def started():
    """Return a runner on two worker processes."""
    from cgcython.cluster.opening import open_runner

    with open_runner("processes", num_workers=WORKERS) as runner:
        yield runner


@pytest.fixture
def processes(started):
    """Return a runner on two worker processes, of which both live; a test may kill them."""
    started.wait_for_workers(WORKERS, seconds=60)
    return started


@pytest.fixture
def address(processes):
    """Return the address of the scheduler of `processes`, as --scheduler takes it."""
    return processes.address


@pytest.fixture(params=["in process", "threads", "processes"])
def runner(request):
    """Repeat a test for each kind of runner."""
    from cgcython.cluster.opening import open_runner

    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    is_here = request.param == "in process"
    with open_runner(None if is_here else "threads", num_workers=None if is_here else 2) as one:
        yield one
