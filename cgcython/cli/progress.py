"""A progress bar on stderr, where there is a terminal to draw it on and tqdm to draw it."""

import sys
from contextlib import contextmanager


@contextmanager
def progress(total, unit, what):
    """Yield `advance(count)`, which moves a bar or does nothing."""
    bar = _bar(total, unit, what)
    if bar is None:
        yield lambda count=1: None
        return
    with bar:
        yield bar.update


def _bar(total, unit, what):
    if not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit=unit, desc=what, unit_scale=True, file=sys.stderr)


def say(message):
    """Print a message for people, never for programs: to stderr."""
    print(message, file=sys.stderr)
