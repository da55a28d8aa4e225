"""Runs a function on many numbers: what a job is given to, in this process or on workers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from cgcython.errors import QuantizationError

Result = TypeVar("Result")


class Run(Protocol):
    """Yields (number, result) as they are done; errors of the family come as values."""

    def __call__(
        self, function: Callable[[int], Result], items: Iterable[int], /
    ) -> Iterator[tuple[int, Result | QuantizationError]]: ...


def run_here(
    function: Callable[[int], Result], items: Iterable[int]
) -> Iterator[tuple[int, Result | QuantizationError]]:
    """Run a function in this process, on one number after the other."""
    for number in items:
        try:
            result: Result | QuantizationError = function(number)
        except QuantizationError as error:
            result = error
        yield number, result
