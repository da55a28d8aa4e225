"""Time this machine beside the specification's budgets and the targets of docs/PERFORMANCE.md.

Encodes, decodes, compares and searches seeded embeddings of the default profile's sizes, on one
thread. Tasks take turns; figures are medians, in microseconds for each item. A budget holds on
any machine, a target is for one core with AVX-512. --limits exits with 1 where a budget is missed.

example:
  cgcython bench
  cgcython bench --rounds 50 --plot bench.svg --json
"""

import argparse

from cgcython import __version__, kernels
from cgcython.cli import options, plots
from cgcython.cli.cells import significant
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.info import processor
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.evaluation.bench import MEMORIES, ROUNDS, Timing, measure, usual_tasks

HEADERS = ["what", "us", "fastest", "budget", "target", "x target"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds",
        type=options.positive,
        default=ROUNDS,
        metavar="N",
        help=f"turns of each task (default {ROUNDS})",
    )
    parser.add_argument(
        "--memories",
        type=options.positive,
        default=MEMORIES,
        metavar="N",
        help=f"in the store that is searched (default {MEMORIES})",
    )
    parser.add_argument(
        "--plot", metavar="FILE.png|.svg", help="draw the figures; needs the extra plot"
    )
    parser.add_argument("--limits", action="store_true", help="exit 1 when a budget is missed")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.plot:
        plots.require("--plot", args.plot)
    with usual_tasks(args.memories) as tasks, progress(args.rounds, "round", "bench") as bar:
        timings = measure(tasks, args.rounds, bar.advance)
    machine = {"version": __version__, "level": kernels.level, "processor": processor()}
    if args.json:
        print_json({**machine, "rounds": args.rounds, "timings": [_facts(one) for one in timings]})
    else:
        print_table(HEADERS, [_cells(one) for one in timings])
        say(f"cgcython {__version__}, level {kernels.level}, {machine['processor']}")
    if args.plot:
        plots.draw_bench(timings, f"{machine['processor']}, level {kernels.level}", args.plot)
    late = [one.name for one in timings if one.is_late]
    for name in late:
        say(f"cgcython: over its budget: {name}")
    return LIMIT if late and args.limits else OK


def _facts(one: Timing) -> dict[str, object]:
    return {**one._asdict(), "late": one.is_late}


def _cells(one: Timing) -> list[object]:
    ratio = None if one.target_us is None else one.median_us / one.target_us
    times = (one.median_us, one.fastest_us, one.budget_us, one.target_us, ratio)
    return [one.name, *map(significant, times)]
