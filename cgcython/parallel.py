"""Row ranges on the caller's threads: nothing global, nothing left behind, safe to fork."""

from itertools import pairwise
from threading import Thread

import numpy as np

from cgcython.errors import InvalidInput


def split_rows(function, rows, num_threads=1):
    """Call `function(start, stop)` on consecutive row ranges and return the results in order.

    The ranges depend on `rows` and `num_threads` only. Kernels release the GIL, so the ranges
    run at the same time.
    """
    parts = max(1, min(require_threads(num_threads), rows))
    if parts == 1:
        return [function(0, rows)]
    return _run(function, [rows * part // parts for part in range(parts + 1)])


def split_weighted(function, weights, num_threads=1):
    """Call `function(start, stop)` as `split_rows` does, on ranges of about equal weight.

    >>> split_weighted(lambda *rows: rows, [1, 1, 1, 1, 8], num_threads=2)
    [(0, 4), (4, 5)]
    """
    parts = max(1, min(require_threads(num_threads), len(weights)))
    if parts == 1:
        return [function(0, len(weights))]
    ends = np.cumsum(weights)
    wanted = ends[-1] * np.arange(1, parts) / parts
    # An edge goes where the weight before it is closest to its share.
    inner = np.searchsorted(ends - np.asarray(weights) / 2, wanted)
    return _run(function, [0, *inner.tolist(), len(weights)])


def each(function, items, num_threads=1):
    """Return what a function returns for each item, some at the same time."""
    found = split_rows(
        lambda *rows: [function(items[i]) for i in range(*rows)], len(items), num_threads
    )
    return [one for some in found for one in some]


def require_threads(num_threads):
    """Return a number of threads. Raises InvalidInput unless it is one."""
    if not isinstance(num_threads, int) or num_threads < 1:
        raise InvalidInput(what="num_threads", expected="1 or more", actual=num_threads)
    return num_threads


def _run(function, edges):
    """The caller works on the first range itself: a thread costs a tenth of a millisecond."""
    first, *others = (_Range(function, rows) for rows in pairwise(edges))
    for one in others:
        one.start()
    first.run()
    for one in others:
        one.join()
    for one in (first, *others):
        if one.error is not None:
            raise one.error
    return [one.result for one in (first, *others)]


class _Range(Thread):
    """A call on a range of rows, and what came of it."""

    def __init__(self, function, rows):
        super().__init__()
        self._call, self.result, self.error = (function, rows), None, None

    def run(self):
        function, rows = self._call
        try:
            self.result = function(*rows)
        except BaseException as error:
            self.error = error
