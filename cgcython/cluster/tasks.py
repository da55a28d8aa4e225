"""One call, as it travels to a worker."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from cgcython import __version__, kernels
from cgcython.errors import QuantizationError, UsageError
from cgcython.runners import result_or_error

Item = TypeVar("Item")
T = TypeVar("T")


class Build(NamedTuple):
    """Which cgcython a process has."""

    version: str
    level: str


def build() -> Build:
    """Return what this process has."""
    return Build(__version__, kernels.level)


@dataclass(frozen=True, repr=False)
class Task(Generic[Item, T]):
    """A call of a function with an item, by the version of cgcython that asks for it.

    Dask's logs and its dashboard print tasks: they see neither the function nor the item, which
    may hold addresses with passwords.
    """

    function: Callable[[Item], T]
    item: Item
    version: str

    def __repr__(self) -> str:
        return "<a task of cgcython>"

    def __call__(self) -> T | QuantizationError:
        """Return the function's result, or its error; raises UsageError in another version."""
        require_version(self.version, build().version, "this worker")
        return result_or_error(self.function, self.item)


def require_version(expected: str, actual: str, where: str) -> None:
    """Raise UsageError unless a worker has the version that asks."""
    if actual != expected:
        raise UsageError(
            f"{where} has cgcython {actual}, this process {expected}; "
            f"install one version on all: pip install cgcython=={expected}"
        )
