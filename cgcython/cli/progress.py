"""A progress bar on stderr, where there is a terminal to draw it on and tqdm to draw it."""

import sys
from contextlib import contextmanager


class Silence:
    """The bar of a run that nobody watches."""

    def advance(self, count=1):
        """Move on by some units."""

    def at(self, done, total, note=""):
        """Move to a place, of a total that is known only now."""


class Bar(Silence):
    """A tqdm bar."""

    def __init__(self, bar):
        self._bar = bar

    def advance(self, count=1):
        self._bar.update(count)

    def at(self, done, total, note=""):
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)


@contextmanager
def progress(total, unit, what):
    """Yield a Bar, or Silence without a terminal or tqdm."""
    bar = _bar(total, unit, what)
    if bar is None:
        yield Silence()
        return
    with bar:
        yield Bar(bar)


def _bar(total, unit, what):
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:  # an optional extra
        return None
    return tqdm(total=total, unit=unit, desc=what, unit_scale=True, file=sys.stderr)


def say(message):
    """Print a message for people, never for programs: to stderr."""
    print(message, file=sys.stderr)
