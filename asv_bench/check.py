"""Run the benchmarks with asv and compare each with the gate written beside it.

    python asv_bench/check.py                 run everything, print the table, exit 1 when late
    python asv_bench/check.py --bench float8  only the benchmarks that match
    python asv_bench/check.py --no-run        judge the newest results again

Timings are judged by their upper quartile: against the specification's budgets as they are, against
its targets scaled by the multiply-add rate of the same run, or by its bandwidth. What is late is
timed again, twice at most, for other work on the machine can be the cause. A benchmark that failed
to run is late; one that needs a package which is not installed is named as absent.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from math import inf, isfinite, nan
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
# Targets were set on cores of these rates, GFLOP/s and GB/s; on another they scale with its own.
REFERENCE = {
    "multiply-adds": ("limits.track_fma_rate", 250),
    "reads": ("limits.track_read_bandwidth", 42),
    "reads by two": ("limits.track_read_bandwidth_of_two_cores", 84),
}
LEEWAY = 1.5
RETRIES = 2
# Ratios are between single threads unless a benchmark says otherwise.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
KINDS = {"at_most": "budget", "target": "target", "at_least": "floor"}
ABSENT = "peer absent"


class Row(NamedTuple):
    """One figure beside its limit; `margin` is above 1 when the gate holds."""

    what: str
    kind: str
    figure: float
    limit: float
    unit: str
    margin: float

    def __str__(self):
        if self.kind == ABSENT:
            return f"{self.what:<68} {self.kind}: {self.unit} is not installed"
        scale, unit = (1e6, "us") if self.unit == "seconds" else (1, self.unit)
        late = "" if self.margin >= 1 else "  LATE"
        return (
            f"{self.what:<68} {self.kind:<6} {self.figure * scale:>12.4g} "
            f"{self.limit * scale:>12.4g} {unit:<6} {self.margin:>8.2f}{late}"
        )


def run(folder, bench):
    """Run asv in the current environment; results land in `folder`/.asv/results."""
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=HERE, text=True).strip()
    asv = [sys.executable, "-m", "asv"]
    subprocess.run([*asv, "machine", "--yes"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    arguments = ["run", "--python=same", "--set-commit-hash", commit, "--show-stderr"]
    for pattern in [bench, *(name for name, _ in REFERENCE.values())] if bench else []:
        arguments += ["--bench", pattern]
    # asv exits 2 when a benchmark fails; its missing figure is then judged late below.
    environment = {**os.environ, **ONE_THREAD}
    if subprocess.run([*asv, *arguments], cwd=folder, env=environment).returncode not in (0, 2):
        sys.exit("asv could not run the benchmarks")


def newest(results):
    """Return the newest result file and the description of all benchmarks."""
    files = [path for path in results.glob("*/*.json") if path.name != "machine.json"]
    if not files:
        sys.exit(f"no results in {results}; run without --no-run")
    latest = max(files, key=lambda path: path.stat().st_mtime)
    return json.loads(latest.read_text()), json.loads((results / "benchmarks.json").read_text())


def rows(outcome, benchmarks):
    """Yield a Row for every gated figure of a run."""
    slower = slowness(outcome)
    for name, columns in outcome["results"].items():
        gate = dict(benchmarks.get(name, {}))
        if (peer := gate.get("peer")) and find_spec(peer) is None:
            yield Row(name, ABSENT, nan, nan, peer, inf)
            continue
        if "target" in gate:
            gate["target"] *= LEEWAY * slower[gate["bound"]]
        values = dict(zip(outcome["result_columns"], columns))
        figures = values.get("stats_q_75") or values["result"] or [None]
        labels = parameters(values.get("params") or [])
        for figure, label in zip(figures, labels, strict=True):
            figure = nan if figure is None else figure
            for kind in gate.keys() & KINDS:
                yield judge(name + label, figure, gate[kind], gate["unit"], kind)


def slowness(outcome):
    """Return how much slower than the reference core this run's core is, by what bounds a time.

    What is bound by reads may be as late as the multiply-adds are, if these are later still.
    """
    slower = {}
    for bound, (name, reference) in REFERENCE.items():
        columns = outcome["results"].get(name)
        rate = columns[0][0] if columns and columns[0] else None
        slower[bound] = reference / rate if rate else nan
    return {bound: max(times, slower["multiply-adds"]) for bound, times in slower.items()}


def judge_all(folder):
    """Return the sorted Rows of the newest run."""
    table = sorted(rows(*newest(folder / ".asv" / "results")))
    return table or sys.exit("no benchmark carries a gate")


def parameters(axes):
    """Return the label of each parameter combination, in asv's order."""
    labels = [""]
    for axis in axes:
        labels = [f"{label}({value})" for label in labels for value in axis]
    return labels


def judge(what, figure, limit, unit, kind):
    """Return the Row of one figure; a figure that is missing has no margin."""
    margin = figure / limit if kind == "at_least" else limit / figure
    return Row(what, KINDS[kind], figure, limit, unit, margin if isfinite(margin) else 0.0)


def main(arguments=None):
    """Print the table and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", help="a regular expression of benchmark names")
    parser.add_argument("--no-run", action="store_true", help="judge the newest results")
    parser.add_argument("--folder", type=Path, default=HERE, help="where asv.conf.json lies")
    options = parser.parse_args(arguments)
    if not options.no_run:
        run(options.folder, options.bench)
    table = judge_all(options.folder)
    for _ in range(0 if options.no_run else RETRIES):
        if late := {row.what.partition("(")[0] for row in table if row.margin < 1}:
            run(options.folder, f"^({'|'.join(map(re.escape, sorted(late)))})")
            table = judge_all(options.folder)
    print(f"{'what':<68} {'gate':<6} {'figure':>12} {'limit':>12} {'unit':<6} {'margin':>8}")
    print(*table, sep="\n")
    late, absent = sum(row.margin < 1 for row in table), sum(row.kind == ABSENT for row in table)
    print(f"{len(table) - late - absent} gates hold, {late} late, {absent} without their peer")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
