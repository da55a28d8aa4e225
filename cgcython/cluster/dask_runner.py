"""Runs tasks on the workers of a Dask client, a bounded number of them at the same time."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from cgcython import __version__
from cgcython.cluster.tasks import Task
from cgcython.errors import QuantizationError, WorkersLost

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
T = TypeVar("T")
AHEAD = 2  # tasks of each worker that are sent before it asks, so that none waits for work
RESULT_SECONDS = 30  # a result that takes longer was lost with its worker
LOOK_SECONDS = 5  # between two looks whether there are workers at all
GONE_SECONDS = 120  # without any worker, for one that is started anew


class DaskRunner:
    """Calls functions on workers; the task of a worker that is killed goes to another one."""

    def __init__(self, client: Client, scheduler: str) -> None:
        self._client, self.scheduler = client, scheduler

    @property
    def num_workers(self) -> int:
        """How many items are worked on at the same time."""
        threads: dict[str, int] = self._client.nthreads()
        return max(1, sum(threads.values()))

    @property
    def address(self) -> str:
        """Where the scheduler is, for other processes."""
        return str(self._client.scheduler.address)

    def wait_for_workers(self, number: int, seconds: float) -> None:
        """Return when there are so many workers; raises TimeoutError after some seconds."""
        self._client.wait_for_workers(number, timeout=seconds)

    def pids(self) -> list[int]:
        """Return the processes of the workers, which may be on other machines."""
        return list(self._client.run(os.getpid).values())

    def logs(self) -> str:
        """Return what the workers have logged."""
        return str(self._client.get_worker_logs())

    @property
    def dashboard(self) -> str | None:
        """The address of Dask's page on the workers."""
        link: str | None = self._client.dashboard_link
        return link

    def run(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | QuantizationError]]:
        """Yield each item with what the function returned for it, as `Runner.run` says.

        Raises WorkersLost where no worker is left.
        """
        left = iter(items)
        pending: dict[Future, Item] = {}
        done: SimpleQueue[Future] = SimpleQueue()

        def submit(some: Iterable[Item]) -> None:
            for item in some:
                future = self._submitted(function, item)
                pending[future] = item
                future.add_done_callback(done.put)

        def more() -> Iterator[Item]:
            return itertools.islice(left, max(0, AHEAD * self.num_workers - len(pending)))

        try:
            submit(more())
            while pending:
                item = pending.pop(future := self._next(done))
                submit(more())
                try:
                    found = _result(future)
                except _LostError:
                    submit([item])
                else:
                    yield item, found
        finally:
            self._client.cancel(list(pending))

    def _submitted(self, function: Callable[[Item], T], item: Item) -> Future:
        key = f"cgcython-{uuid.uuid4().hex}"  # Dask shows keys: they tell nothing
        task, ways = Task(function, item, __version__), self._preferred(item)
        return self._client.submit(task, key=key, pure=False, **ways)

    def _preferred(self, item: object) -> dict[str, Any]:
        """Return how to send an item with a number `home` to the worker that had it before."""
        home: int | None = getattr(item, "home", None)
        if home is None or not (workers := sorted(self._client.nthreads())):
            return {}
        return {"workers": [workers[home % len(workers)]], "allow_other_workers": True}

    def _next(self, done: SimpleQueue[Future]) -> Future:
        """Return the next future that is done; raises WorkersLost where no worker is left."""
        seen = time.monotonic()
        while True:
            try:
                return done.get(timeout=LOOK_SECONDS)
            except Empty:
                seen = time.monotonic() if self._client.nthreads() else seen
            if time.monotonic() - seen > GONE_SECONDS:
                raise WorkersLost(reason="none is left")


class _LostError(Exception):
    """A result was lost with the worker that had it."""


def _result(future: Future) -> Any:
    """Return a task's result; raises its own error, or _LostError where no result comes."""
    from distributed.scheduler import KilledWorker

    try:
        return future.result(timeout=RESULT_SECONDS)
    except KilledWorker as error:
        return WorkersLost(reason=f"{error.allowed_failures + 1} died of this one")
    except TimeoutError:
        if future.status == "error":  # the task's own
            raise
        raise _LostError from None
