"""What a benchmark must hold, written beside it and enforced by check.py.

asv keeps a benchmark's own attributes in its benchmarks.json, so a gate is an attribute.
"""

from importlib.util import find_spec

from cgcython import kernels


def budget_us(microseconds):
    """Bound the upper quartile of a timing, on whatever machine."""
    return _attribute("at_most", microseconds * 1e-6)


def target_us(microseconds, bound="multiply-adds", **by_level):
    """Name the time on the reference core (check.py); a level may have its own.

    The limit is LEEWAY times that, scaled by the multiply-add rate measured in the same run or,
    where the bound is "reads" or "reads by two" cores, by the bandwidth if that is further from the
    reference's.
    """
    seconds = by_level.get(kernels.level, microseconds) * 1e-6
    return _attribute("target", seconds, "seconds", bound=bound)


def at_most(limit, unit):
    """Bound a tracked figure from above."""
    return _attribute("at_most", limit, unit)


def at_least(limit, unit="x", **by_level):
    """Bound a tracked figure from below; a ratio is theirs / ours, in times as fast.

    The limit is that of the fastest level; one whose instructions do less may have its own.
    """
    return _attribute("at_least", by_level.get(kernels.level, limit), unit)


def beside(peer):
    """Name a package that may be absent: then the benchmark is not run, and nobody is late."""

    def require(*parameters):
        if find_spec(peer) is None:
            raise NotImplementedError(f"{peer} is not installed")

    def mark(benchmark):
        benchmark.peer, benchmark.setup = peer, require
        return benchmark

    return mark


def _attribute(name, limit, unit=None, **more):
    def mark(benchmark):
        for attribute, value in {name: limit, **({"unit": unit} if unit else {}), **more}.items():
            setattr(benchmark, attribute, value)
        return benchmark

    return mark
