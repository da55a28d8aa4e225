"""Lets a command work unit by unit, here or on the workers of --scheduler."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from cgcython.cli.failures import OK, exit_code
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.cluster.opening import open_runner
from cgcython.errors import QuantizationError, UsageError
from cgcython.runners import Runner

Item = TypeVar("Item")
T = TypeVar("T")


@contextmanager
def runner_of(args: argparse.Namespace) -> Iterator[Runner]:
    """Yield the runner that --scheduler and --workers ask for; tell where its dashboard is."""
    if args.workers is not None and args.scheduler is None:
        raise UsageError("--workers is for --scheduler threads or processes: add one of them")
    with open_runner(args.scheduler, num_workers=args.workers) as runner:
        if runner.dashboard:
            say(f"dashboard: {runner.dashboard}")
        yield runner


class Units:
    """The units of a command's work, with the errors of those that failed.

    `unit` is what one is called, such as shard. Where `on_damage` is stop the first error is
    raised, with a note that names the unit.
    """

    def __init__(self, unit: str, on_damage: str = "stop") -> None:
        self.unit, self.on_damage = unit, on_damage
        self.failed: dict[Any, QuantizationError] = {}

    def results(
        self, runner: Runner, function: Callable[[Item], T], items: Sequence[Item], what: str
    ) -> Iterator[tuple[Item, T]]:
        """Yield what a function returns for each item, as they are done, and show progress."""
        with progress(len(items), self.unit, what) as bar:
            for item, found in runner.run(function, items):
                if isinstance(found, QuantizationError):
                    self._note_failure(item, found)
                else:
                    yield item, found
                bar.advance()

    def _note_failure(self, item: object, error: QuantizationError) -> None:
        if self.on_damage == "stop":
            error.add_note(f"({self.unit} {item})")
            raise error
        self.failed[item] = error

    def exit_code(self) -> int:
        """Tell which units failed, and why; return the exit code of the first error."""
        for item, error in self.failed.items():
            say(f"{self.unit} {item}: {error} {' '.join(getattr(error, '__notes__', []))}".rstrip())
        return exit_code(next(iter(self.failed.values()))) if self.failed else OK
