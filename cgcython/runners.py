"""Who does the work of a job, unit by unit: this process, or workers of a scheduler.

A unit is a number, an id or a path: functions read what they need themselves, wherever they run.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from cgcython.errors import QuantizationError

Item = TypeVar("Item")
T = TypeVar("T")


class Run(Protocol):
    """Yields each item with what a function returned for it, as `Runner.run` does."""

    def __call__(
        self, function: Callable[[Item], T], items: Iterable[Item], /
    ) -> Iterator[tuple[Item, T | QuantizationError]]: ...


class Runner(Protocol):
    """Calls a function for many items, some at the same time, perhaps on other machines."""

    @property
    def num_workers(self) -> int:
        """How many items are worked on at the same time."""
        ...

    @property
    def dashboard(self) -> str | None:
        """The address of a page that shows the work, None where there is none."""
        ...

    def run(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | QuantizationError]]:
        """Yield each item with what the function returned for it, in order of completion.

        Errors of this package come as values, so that one item costs no other; other errors are
        raised. Items are drawn as workers become free. Closing the iterator drops what has not
        begun. Function, items and results must survive pickling. Items that have the same number
        as `home` go to the same worker where there is one, which may keep what they need.
        """
        ...


class InProcess:
    """Works on one item after the other, here."""

    num_workers = 1
    dashboard = None

    def run(
        self, function: Callable[[Item], T], items: Iterable[Item]
    ) -> Iterator[tuple[Item, T | QuantizationError]]:
        """Yield each item with what the function returned for it, or its error.

        >>> list(InProcess().run(abs, [-1, 2]))
        [(-1, 1), (2, 2)]
        """
        for item in items:
            yield item, result_or_error(function, item)


def result_or_error(function: Callable[[Item], T], item: Item) -> T | QuantizationError:
    """Return what a function returns for an item, or the error of this package that it raises."""
    try:
        return function(item)
    except QuantizationError as error:
        return error


run_here: Run = InProcess().run
