"""Hold the kernels of each level against NumPy on the same instructions and against the machine.

    python asv_bench/levels.py          print the table, exit 1 below a floor
    python asv_bench/levels.py v2 v3    only these levels

A child process per level binds the kernels through CGCYTHON_LEVEL and keeps NumPy and its OpenBLAS
to the same instructions. Both sides are timed in turn, on one thread, and must agree. What falls
below its floor is timed again, twice at most, for other work on the machine can be the cause.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from cgcython.kernels import dispatch

# What NumPy must leave alone, and the processor that OpenBLAS is to take this one for.
HELD = {
    "v2": ("X86_V3 X86_V4 AVX512_ICL AVX512_SPR", "NEHALEM"),
    "v3": ("X86_V4 AVX512_ICL AVX512_SPR", "HASWELL"),
    "v4": ("AVX512_ICL AVX512_SPR", "SKYLAKEX"),
    "v4n": ("AVX512_ICL AVX512_SPR", "SKYLAKEX"),
    "v4x": ("", "SKYLAKEX"),
}
# Cores older than v4x start four instructions a cycle, which a tile's multiply-adds nearly fill.
IS_WIDE = dispatch.available()[-1] == "v4x"
FLOORS = {"numpy": 1.0, "FMA rate": 0.85 if IS_WIDE else 0.55}
RETRIES = 2


class Row(NamedTuple):
    """One figure of a level: times as fast as NumPy, or a share of the multiply-add rate."""

    level: str
    task: str
    against: str
    figure: float

    @property
    def floor(self):
        """The least that the figure may be; v2 has no multiply-add to be held to."""
        if self.level == "v2" and self.against == "FMA rate":
            return 0.0
        return FLOORS[self.against]

    @property
    def holds(self):
        """Whether the figure reaches its floor."""
        return self.figure >= self.floor

    def __str__(self):
        late = "" if self.holds else "  LATE"
        return (
            f"{self.level:<6} {self.task:<16} {self.against:<10} "
            f"{self.figure:>8.2f} {self.floor:>8.2f}{late}"
        )


def environment(level):
    """Return the environment of a child that keeps both sides to one level, on one thread."""
    features, core = HELD[level]
    held = {"NPY_DISABLE_CPU_FEATURES": features, "OPENBLAS_CORETYPE": core}
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}
    return {**os.environ, "CGCYTHON_LEVEL": level, **held, **threads}


def measure(level):
    """Return the Rows of one level, timed in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.level_tasks"]
    folder = Path(__file__).resolve().parent
    done = subprocess.run(
        command, env=environment(level), cwd=folder, stdout=subprocess.PIPE, check=True
    )
    return [Row(level, *figure) for figure in json.loads(done.stdout)]


def best_of(first, second):
    """Return for each Row the one with the higher figure."""
    return [max(pair, key=lambda row: row.figure) for pair in zip(first, second, strict=True)]


def judge(level, measure=measure):
    """Return the Rows of a level, timed again while one is below its floor."""
    rows = measure(level)
    for _ in range(RETRIES):
        if all(row.holds for row in rows):
            break
        rows = best_of(rows, measure(level))
    return rows


def main(arguments=None):
    """Print the table and return the exit status."""
    here = [level for level in HELD if level in dispatch.available()]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("levels", nargs="*", choices=[*here, []], help="default: all of them")
    table = [row for level in parser.parse_args(arguments).levels or here for row in judge(level)]
    print(f"{'level':<6} {'task':<16} {'against':<10} {'figure':>8} {'floor':>8}")
    print(*table, sep="\n")
    late = sum(not row.holds for row in table)
    print(f"{len(table) - late} floors hold, {late} late")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
