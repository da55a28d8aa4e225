"""Opens a cluster of Dask distributed: workers of this machine, or a scheduler that runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cgcython import __version__
from cgcython.cluster import worker
from cgcython.cluster.ctrl_c import LaterCtrlC
from cgcython.cluster.dask_runner import DaskRunner
from cgcython.cluster.opening import PROCESSES, is_address
from cgcython.cluster.tasks import build, require_version
from cgcython.errors import UsageError
from cgcython.system import usable_cores

if TYPE_CHECKING:
    from distributed import Client

HOST = "127.0.0.1"  # a scheduler runs what anybody sends who reaches it
SETTINGS = {
    "distributed.dashboard.link": f"http://{HOST}:{{port}}/status",
    # Dask lets glibc give each large array back at once: a quarter of the time went into new pages.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 64 << 20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 32 << 20,
    # A busy machine may take half a minute to start a worker in place of one that was killed, which
    # Dask gives up after 15 seconds.
    "distributed.deploy.lost-worker-timeout": "10m",
}
ANSWER_SECONDS = 10


@contextmanager
def opened(
    scheduler: str, num_workers: int | None, threads: int, memory_limit: int | str | None
) -> Iterator[DaskRunner]:
    """Yield a runner on a scheduler as `open_runner` names it; workers started here end with it."""
    if is_address(scheduler):
        with _client(scheduler) as client:
            yield DaskRunner(client, scheduler)
        return
    workers = num_workers or usable_cores()
    with (
        LaterCtrlC() as ctrl_c,
        _local(scheduler, workers, threads, memory_limit) as client,
        ctrl_c.now(),
    ):
        yield DaskRunner(client, scheduler)


@contextmanager
def _local(
    scheduler: str, workers: int, threads: int, memory_limit: int | str | None
) -> Iterator[Client]:
    """Yield a client of workers: processes, or threads of this one, whose memory nobody limits."""
    import dask
    from distributed import Client, LocalCluster

    worker.silence()
    in_processes = scheduler == PROCESSES
    with (
        tempfile.TemporaryDirectory(prefix="cgcython-workers-") as folder,
        dask.config.set({"temporary-directory": folder, **SETTINGS}),
        LocalCluster(
            n_workers=workers if in_processes else 1,
            threads_per_worker=threads if in_processes else workers * threads,
            processes=in_processes,
            memory_limit=memory_limit if in_processes else None,
            host=HOST if in_processes else None,
            dashboard_address=f"{HOST}:0",
            preload=[worker.__name__] if in_processes else [],
            local_directory=folder,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _client(address: str) -> Iterator[Client]:
    """Yield a client of a scheduler whose workers have this cgcython; raises UsageError if not."""
    from distributed import Client

    try:
        client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"no scheduler at {address}: {error}; start one: dask scheduler") from None
    with client:
        _require_workers(client, address)
        yield client


def _require_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=ANSWER_SECONDS)
    except TimeoutError:
        told = f"the scheduler at {address} has no workers; start some: dask worker {address}"
        raise UsageError(told) from None
    for where, found in client.run(build, on_error="return").items():
        if isinstance(found, Exception):
            told = f"worker {where} cannot run cgcython ({found}); install it there"
            raise UsageError(f"{told}: pip install cgcython=={__version__}")
        require_version(__version__, found.version, f"worker {where}")
