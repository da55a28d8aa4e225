"""Predict what 10^6 to 10^10 fingerprints take, from rates that this machine shows in minutes.

    python asv_bench/scale.py                                  # all thirteen embedders
    python asv_bench/scale.py --embedders E1,E8,E9 --plan 1e8 --cores 16 --memory 64
    python asv_bench/scale.py --check 1e5                      # encode, load and search so many
    python asv_bench/scale.py --embedders E1,E8,E9 --check 1e6

Some thousand memories are made, encoded, loaded and searched; how long that takes, in processor
time of one thread, and how many bytes it makes give the rates. A table of them is printed, then one
of plans: a column for each number of memories. A query ranks by E1, E8 and E9, fused (--rank).

With --check so many memories are really encoded, loaded and searched; the exit status is 1 where a
prediction and what came differ by more than 25 %. No rate is measured on so many. Files lie in
--folder: 70 KB for each whole fingerprint. Run it on a machine that does nothing else.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scale_check import check
from scale_model import HOUR, SAMPLES, Cluster, plan, query_seconds, spread_seconds
from scale_rates import ROWS, EmbedderRates, Rates, Samples, file_bytes, measure_machine
from scale_searches import Searched, approximate_seconds, merging_seconds

from cgcython.base import ModelId

ALL = ",".join(one.short for one in ModelId)
UNITS = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"))
RERANK = "E12"


def measure(args, folder):
    """Return the Rates of this machine, and the Samples they were measured on."""
    samples, found = Samples(folder, args.embedders, args.rows, data=args.data), {}
    machine = measure_machine()
    for one in samples.embedders:
        say(f"measuring {one.short}")
        found[one.short], id_bytes = measure_embedder(samples, one)
    say("measuring all together")
    encode = samples.encoding(samples.embedders)
    rerank = RERANK if RERANK in found and RERANK not in args.rank else None
    searched = Searched(samples, args.rank, rerank)
    load = searched.loading()
    reranked = searched.reranking() if rerank else 0.0
    fused = *searched.searching(), merging_seconds(samples, args.rank), reranked
    near = approximate_seconds(samples, args.rank, args.near) if args.near else ()
    machine = machine.better(measure_machine())  # other work can only make it look worse
    whole = machine, found, id_bytes, encode, tuple(args.rank), load
    return Rates(*whole, *fused, *near), samples


def measure_embedder(samples, one):
    """Return the EmbedderRates of one, and the bytes of an id."""
    given = file_bytes(samples.inputs[one]) / samples.rows
    train = samples.train(one)
    stored, id_bytes = samples.stored_bytes(one)
    searched = Searched(samples, [one.short])
    encode, load = samples.encoding([one]), searched.loading()
    return EmbedderRates(given, stored, encode, load, train, *searched.searching()), id_bytes


def say(text):
    """Tell on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


def bytes_text(count):
    """Return a number of bytes in the unit that suits it."""
    size, unit = next((one for one in UNITS if count >= one[0]), UNITS[-1])
    return f"{count / size:.3g} {unit}"


def time_text(seconds):
    """Return a time in the unit that suits it."""
    for size, unit in ((HOUR, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{1e3 * seconds:.3g} ms"


def print_rates(rates):
    """Print a line per embedder, then what holds for all."""
    print("      bytes a memory         us a memory        ns a row, query     training")
    print("      input   stored      encode     load    alone   in batches       core-s")
    for name, one in rates.embedders.items():
        figures = [
            f"{name:4}{one.input_bytes:8.0f}{one.stored_bytes:9.0f}",
            f"{1e6 * one.encode.each:12.2f}{1e6 * one.load.each:9.2f}",
            f"{1e9 * one.scan.each:9.2f}{1e9 * one.batch.each:13.2f}",
            f"{one.train.at(SAMPLES):13.1f}" if one.train else f"{'-':>13}",
        ]
        print("".join(figures))
    print(f"all together: {1e6 * rates.encode.each:.1f} us a memory to encode")
    machine = rates.machine
    print(
        f"{'+'.join(rates.ranking)}, fused: {1e9 * rates.fused.each:.1f} ns a row and "
        f"{1e3 * rates.fused.fixed:.2f} ms; in batches {1e9 * rates.fused_batch.each:.1f} ns a row"
    )
    print(f"merging the hits of a query: {1e6 * rates.merging.each:.1f} us a group of shards")
    if rates.reranked:
        print(f"reordering the best by {RERANK}: {1e3 * rates.reranked:.2f} ms")
    if rates.near:
        print(
            f"approximate: {1e9 * rates.near:.1f} ns a row; "
            f"guides are made in {1e6 * rates.guides:.1f} us a row"
        )
    print(
        f"{machine.cores} cores, {bytes_text(machine.memory)}; memory is read at "
        f"{machine.read_one / 1e9:.1f} GB/s by one, {machine.read_all / 1e9:.1f} by all"
    )


def plan_rows(plans, cluster):
    """Return the lines of the table of plans: a name and a text for each plan."""
    wanted = f"{1e3 * cluster.target:.0f} ms"
    near = [str(one.near_machines or "none") for one in plans]
    return [
        ("memories", [f"{one.memories:.0e}".replace("e+", "e") for one in plans]),
        ("input, float32", [bytes_text(one.input_bytes) for one in plans]),
        ("stored", [bytes_text(one.stored_bytes) for one in plans]),
        ("training, core time", [time_text(one.train) for one in plans]),
        ("encoding, core time", [time_text(one.encode) for one in plans]),
        ("reading, machine time", [time_text(one.read) for one in plans]),
        ("loading, core time", [time_text(one.load) for one in plans]),
        ("machines for memory", [f"{one.memory_machines:,}" for one in plans]),
        ("exact query on these", [time_text(one.latency) for one in plans]),
        ("queries a second", [f"{one.queries:.3g}" for one in plans]),
        (f"machines for {wanted}", [f"{one.exact_machines or 'none'}" for one in plans]),
        ("  with approximate=True", near if plans[0].near_machines is not None else []),
    ]


def print_plans(plans, cluster):
    """Print a column per plan, then what each is short of."""
    print(f"\nmachines of {cluster.cores} cores and {bytes_text(cluster.memory)}")
    for name, texts in plan_rows(plans, cluster):
        if texts:
            print(f"{name:24}" + "".join(f"{text:>14}" for text in texts))
    for one in plans:
        print(f"short at {one.memories:,}: {one.bottleneck}")


def draw(rates, cluster, path):
    """Draw the latency of an exact query by the number of machines."""
    from cgcython.cli import plots

    def seconds(rows):
        return query_seconds(rates, rows, cluster.cores)

    figure = plots.new_figure(8, 5)
    axes = figure.add_subplot()
    machines = [2**power for power in range(15)]
    for memories, colour in zip((10**6, 10**8, 10**10), plots.COLOURS):
        ways = rates, seconds, memories
        drawn = [1e3 * spread_seconds(*ways, one, cluster) for one in machines]
        axes.plot(machines, drawn, "o-", ms=4, color=colour, label=f"{memories:,} memories")
    axes.axhline(1e3 * cluster.target, color="grey", linestyle=":", label="target")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel(f"machines of {cluster.cores} cores")
    axes.set_ylabel("ms for an exact query")
    axes.set_title(f"ranked by {', '.join(rates.ranking)}")
    axes.legend(fontsize="small")
    plots.save(figure, path)


def parse(arguments):
    """Return the arguments, lists split and defaults of this machine filled in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--embedders", default="all", metavar="E1,E8,...")
    parser.add_argument("--rank", default="E1,E8,E9", metavar="E1,...", help="of a query")
    parser.add_argument("--rows", type=int, default=ROWS, metavar="N", help="memories to measure")
    parser.add_argument("--plan", default="1e6,1e8,1e10", metavar="N,...")
    parser.add_argument("--check", type=float, metavar="N", help="memories, as 1e5")
    parser.add_argument("--cores", type=int, help="of a machine (default: as here)")
    parser.add_argument("--memory", type=float, metavar="GB", help="of a machine (as here)")
    parser.add_argument("--target", type=float, default=100, metavar="MS", help="for a query")
    parser.add_argument("--near", type=int, default=0, metavar="ROWS", help="time approximate=True")
    parser.add_argument("--data", metavar="DIR", help="of real vectors, of which inputs are made")
    parser.add_argument("--folder", default=None, metavar="DIR", help="for temporary files")
    parser.add_argument("--plot", metavar="FILE.png|.svg")
    args = parser.parse_args(arguments)
    args.embedders = (ALL if args.embedders == "all" else args.embedders).split(",")
    args.rank = [one for one in args.rank.split(",") if one in args.embedders] or args.embedders[:1]
    return args


def main(arguments=None):
    """Print rates, plans and, where that was asked for, the check."""
    args = parse(arguments)
    with TemporaryDirectory(prefix="cgcython-scale-", dir=args.folder) as folder:
        rates, samples = measure(args, Path(folder))
        print_rates(rates)
        machine = rates.machine
        memory = machine.memory if args.memory is None else 1e9 * args.memory
        cluster = Cluster(args.cores or machine.cores, memory, args.target / 1e3)
        plans = [plan(rates, int(float(one)), cluster) for one in args.plan.split(",")]
        print_plans(plans, cluster)
        if args.plot:
            draw(rates, cluster, args.plot)
        return 0 if args.check is None else check(rates, samples, int(args.check))


if __name__ == "__main__":
    sys.exit(main())
