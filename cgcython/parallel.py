"""Row ranges on the caller's threads: nothing global, nothing left behind, safe to fork."""

from concurrent.futures import ThreadPoolExecutor

from cgcython.errors import InvalidInput


def split_rows(function, rows, num_threads=1):
    """Call `function(start, stop)` on consecutive row ranges and return the results in order.

    The ranges depend on `rows` and `num_threads` only. Kernels release the GIL, so the ranges
    run at the same time.
    """
    if not isinstance(num_threads, int) or num_threads < 1:
        raise InvalidInput(what="num_threads", expected="1 or more", actual=num_threads)
    parts = max(1, min(num_threads, rows))
    if parts == 1:
        return [function(0, rows)]
    edges = [rows * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor(parts) as threads:
        return list(threads.map(function, edges[:-1], edges[1:]))
