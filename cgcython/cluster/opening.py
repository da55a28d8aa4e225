"""Opens what does the work of a job: this process, or the workers of a scheduler."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from cgcython.checks import require_whole
from cgcython.errors import InvalidInput, UsageError
from cgcython.runners import InProcess, Runner

THREADS: Final = "threads"
PROCESSES: Final = "processes"
PROTOCOLS = ("tcp://", "tls://")
KINDS = "threads, processes or an address such as tcp://127.0.0.1:8786"


@contextmanager
def open_runner(
    scheduler: str | None,
    *,
    num_workers: int | None = None,
    threads_per_worker: int = 1,
    memory_limit: int | str | None = "auto",
) -> Iterator[Runner]:
    """Yield a runner: in this process for None, otherwise on workers of Dask distributed.

    `threads` and `processes` start `num_workers` workers of this machine (default: one for each
    core), which end with the block; an address leads to a scheduler that runs, with its workers.
    A process works on `threads_per_worker` items at the same time and is restarted when it takes
    more than `memory_limit` bytes (auto: its part of the machine's memory). Raises UsageError
    where Dask is not installed, no scheduler answers or a worker has another cgcython.
    """
    if scheduler is None:
        yield InProcess()
        return
    scheduler = require_scheduler(scheduler)
    threads = require_whole(threads_per_worker, "threads_per_worker", least=1)
    if num_workers is not None:
        require_whole(num_workers, "num_workers", least=1)
        if is_address(scheduler):
            raise UsageError(f"{scheduler} has its own workers; leave the number of workers out")
    with _opener()(scheduler, num_workers, threads, memory_limit) as runner:
        yield runner


def require_scheduler(scheduler: object) -> str:
    """Return the name or address of a scheduler; raises InvalidInput for another text."""
    if scheduler in (THREADS, PROCESSES) or is_address(scheduler):
        return str(scheduler)
    raise InvalidInput(what="scheduler", expected=KINDS, actual=scheduler)


def is_address(scheduler: object) -> bool:
    """Tell whether a scheduler is one that runs already, at an address."""
    return isinstance(scheduler, str) and scheduler.startswith(PROTOCOLS)


def _opener() -> Callable[..., AbstractContextManager[Runner]]:
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError("schedulers need Dask: pip install 'cgcython[cluster]'") from None
    from cgcython.cluster.dask_cluster import opened

    return opened
