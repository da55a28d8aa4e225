"""Draws progress bars on stderr, where that is a terminal and tqdm is installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Silence:
    """The bar of a run that nobody watches."""

    def advance(self, count: int = 1) -> None:
        """Move on by some units."""

    def at(self, done: int, total: int, note: str = "") -> None:
        """Move to a place, of a total that is known only now."""

    def at_loss(self, step: int, steps: int, loss: float) -> None:
        """Move to a step of training and show the loss."""
        self.at(step, steps, f"loss {loss:.2%}")


class Bar(Silence):
    """A tqdm bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, count: int = 1) -> None:
        self._bar.update(count)

    def at(self, done: int, total: int, note: str = "") -> None:
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)


@contextmanager
def progress(total: int | None, unit: str, what: str) -> Iterator[Silence]:
    """Yield a Bar, or Silence without a terminal or tqdm."""
    bar = _bar(total, unit, what)
    if bar is None:
        yield Silence()
        return
    from tqdm.contrib.logging import logging_redirect_tqdm

    with bar, logging_redirect_tqdm():
        yield Bar(bar)


def _bar(total: int | None, unit: str, what: str) -> Any:
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:  # an optional extra
        return None
    return tqdm(total=total, unit=unit, desc=what, unit_scale=True, file=sys.stderr)
