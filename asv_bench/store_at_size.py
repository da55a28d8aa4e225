"""Store many realistic fingerprints and measure what writing, opening, reading and searching cost.

    python asv_bench/store_at_size.py --records 10000 100000 1000000 --path /somewhere/with/space

One store grows from size to size and is measured at each, by processes of their own. Fingerprints
of all thirteen embedders are made from the real vectors of CGCYTHON_DATA, a batch at a time, the
same for the same seed; a run that was interrupted goes on where it stopped. Some records are
compared with what was encoded, and each must be the first hit for itself: what is wrong makes the
exit status 1. The folder is kept for the next run unless --delete is given.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from realistic import BATCH, SPARSE
from store_phases import SEARCHED

# Bytes on disk per record while RocksDB rewrites its files: the records twice, at the most.
ROOM_BYTES = {"5%": 2 * 14_500, "bm25": 2 * 6_500}
GIB = 1 << 30


def main(arguments=None):
    """Print a table with a column for each size; return the exit status."""
    args = _parser().parse_args(arguments)
    if not args.data:
        sys.exit("set CGCYTHON_DATA, or --data, to the folder of the real embeddings")
    folder = Path(args.path)
    sizes = sorted({max(1, round(one / BATCH)) * BATCH for one in args.records})
    _require_room(folder, sizes[-1], args.sparse)
    columns = []
    for records in sizes:
        columns.append(_measure(args, folder, records))
        if args.json:
            Path(args.json).write_text(json.dumps({"facts": _facts(args), "sizes": columns}))
    _print(columns, args)
    if args.delete:
        shutil.rmtree(folder)
    return 1 if any(one["wrong"] for one in columns) else 0


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, nargs="+", default=[10_000], metavar="N")
    parser.add_argument("--path", required=True, help="a folder, made when missing")
    parser.add_argument("--data", default=os.environ.get("CGCYTHON_DATA"), help="real embeddings")
    parser.add_argument("--json", metavar="OUT", help="write the figures here as well")
    parser.add_argument(
        "--sparse",
        choices=SPARSE,
        default=SPARSE[0],
        help="E6 and E13: 5%% of the vocabulary (default), or as BM25 has them, about 100",
    )
    parser.add_argument("--pq-bytes", type=int, default=8, help="of E1, E5, E7, E10 (default 8)")
    parser.add_argument("--embedders", default=",".join(SEARCHED), help="searched and fused")
    parser.add_argument("--threads", type=int, default=2, help="that encode (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--delete", action="store_true", help="delete the folder afterwards")
    return parser


def _facts(args):
    names = ("sparse", "pq_bytes", "embedders", "threads", "seed")
    return {name: getattr(args, name) for name in names}


def _require_room(folder, records, sparse):
    """Refuse to start where the disk cannot hold the records, or the folder holds others."""
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    needed = max(0, records * ROOM_BYTES[sparse] - there)
    free = shutil.disk_usage(folder).free
    if free < needed:
        sys.exit(
            f"{records} records need {needed / GIB:.1f} GiB more in {folder}, "
            f"{free / GIB:.1f} are free; choose another --path or fewer --records"
        )


def _measure(args, folder, records):
    """Return the figures of one size, gathered by a process for each phase."""
    facts = _facts(args)
    made = folder / "made.json"
    fixed = {name: facts[name] for name in ("sparse", "pq_bytes", "seed")}
    if made.exists() and json.loads(made.read_text()) != fixed:
        sys.exit(f"{folder} holds other records, {made.read_text()}; delete it or choose another")
    made.write_text(json.dumps(fixed))
    given = {**facts, "path": str(folder / "store"), "records": records, "data": args.data}
    given["embedders"] = args.embedders.split(",")
    print(f"{records} records", file=sys.stderr, flush=True)
    return {"records": records, **_phase("write", given), **_phase("measure", given)}


def _phase(name, given):
    command = [sys.executable, str(Path(__file__).with_name("store_phases.py")), name]
    done = subprocess.run([*command, json.dumps(given)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"the phase {name} of {given['records']} records failed; see above")
    return json.loads(done.stdout)


def _rate(step):
    def rate(one):
        seconds = one["seconds"].get(step)
        return one["added"] / seconds if one["added"] and seconds else None

    return rate


def _percentile(name, percentile, unit):
    return lambda one: one[name][percentile] * unit


def _figure(name, unit=1):
    return lambda one: one[name] * unit


ROWS = {
    "encoded, records/s": (_rate("encode"), ".0f"),
    "written, records/s": (_rate("write"), ".0f"),
    "bytes per record": (_figure("record_bytes"), ".0f"),
    "disk bytes per record": (lambda one: one["disk_bytes"] / one["records"], ".0f"),
    "disk, GB": (_figure("disk_bytes", 1e-9), ".2f"),
    "open cold, ms": (_figure("open_cold_s", 1e3), ".1f"),
    "open warm, ms": (_figure("open_warm_s", 1e3), ".1f"),
    "get E1, us p50": (_percentile("get_one", "p50_s", 1e6), ".0f"),
    "get E1, us p99": (_percentile("get_one", "p99_s", 1e6), ".0f"),
    "get and decode all, us p50": (_percentile("get_record", "p50_s", 1e6), ".0f"),
    "get and decode all, us p99": (_percentile("get_record", "p99_s", 1e6), ".0f"),
    "the same off disk, us p50": (_percentile("get_record_cold", "p50_s", 1e6), ".0f"),
    "the same off disk, us p99": (_percentile("get_record_cold", "p99_s", 1e6), ".0f"),
    "columns loaded, s": (_figure("columns_s"), ".2f"),
    "first search, mapped, ms": (_figure("mapped_s", 1e3), ".1f"),
    "search, ms p50": (_percentile("search_1", "p50_s", 1e3), ".2f"),
    "search, ms p99": (_percentile("search_1", "p99_s", 1e3), ".2f"),
    "two threads, ms p50": (_percentile("search_2", "p50_s", 1e3), ".2f"),
    "two threads, ms p99": (_percentile("search_2", "p99_s", 1e3), ".2f"),
    "ids iterated, records/s": (_figure("iterate_per_s"), ".0f"),
    "verified, records/s": (_figure("verify_per_s"), ".0f"),
    "peak memory writing, MB": (_figure("write_rss_bytes", 1e-6), ".0f"),
    "peak memory reading, MB": (_figure("read_rss_bytes", 1e-6), ".0f"),
    "with columns, MB": (_figure("search_rss_bytes", 1e-6), ".0f"),
    "wrong answers": (_figure("wrong"), ".0f"),
}


def _print(columns, args):
    """Print a row for each figure and, in the last columns, how it grew from size to size."""
    print(f"searched: {args.embedders}; E6 and E13: {args.sparse}; {args.pq_bytes}-byte PQ codes")
    sizes = [one["records"] for one in columns]
    grown = [f"x {b / a:.3g}" for a, b in pairwise(sizes)]
    print(_line("records", [*sizes, *grown]))
    for name, (figure, form) in ROWS.items():
        values = [figure(one) for one in columns]
        growth = [b / a if a and b else None for a, b in pairwise(values)]
        cells = ["-" if value is None else format(value, form) for value in values]
        cells += ["-" if value is None else f"{value:.2f}" for value in growth]
        print(_line(name, cells))


def _line(name, cells):
    return f"{name:<28}" + "".join(f"{cell:>12}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
