"""Print how long whole searches take beside those of other packages, with recall and bytes.

    python asv_bench/end_to_end.py                  every line, some ten minutes
    python asv_bench/end_to_end.py dense sparse     only these groups
    python asv_bench/end_to_end.py --rows 1000000 dense
    python asv_bench/end_to_end.py --json           the figures, one object a way
    python asv_bench/end_to_end.py --limits         exit 1 where a line has lost half

Every line is one piece of work, done by each package in turn on the same queries: the median of
its milliseconds of processor time (of the wall's where there are threads), the part of the true ten
best that it found, and the bytes that it holds for a record. Other packages are given the least
of their settings that finds as much as is asked for. Beside the work stands how many times as fast
as the best of them ours is, at no less than the recall asked for. Needs the extra `bench`, usearch,
and qdrant-edge-py and pyseismic-lsr where they are to be shown.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from side_by_side import dense, records, sparse, tokens
from side_by_side.timing import Figure, Line, timed, verdict

DATA = Path(os.environ.get("CGCYTHON_DATA", "../shared/data"))


def _dense(args: argparse.Namespace) -> Iterator[Line]:
    with dense.Dense(args.data, args.rows, 384) as some:
        yield dense.one_query(some)
        yield dense.many_queries(some)
        yield dense.many_queries(some, threads=2)
        yield dense.filtered(some)
    if args.rows <= 100_000:
        with dense.Dense(args.data, args.rows, 1024) as some:
            yield dense.one_query(some)


def _small(args: argparse.Namespace) -> Iterator[Line]:
    for rows in (1000, 10_000):
        with dense.Dense(args.data, rows, 384) as some:
            yield dense.few_records(some)


def _tokens(args: argparse.Namespace) -> Iterator[Line]:
    for count in sorted({min(count, args.rows) for count in (5000, 10_000, 20_000)}):
        yield tokens.max_sim(args.data, count)
    yield from tokens.stored(args.data, min(41_000, args.rows))


def _sparse(args: argparse.Namespace) -> Iterator[Line]:
    yield from sparse.lines(args.data, args.rows)


def _encode(args: argparse.Namespace) -> Iterator[Line]:
    yield records.encoding(args.data)


GROUPS: dict[str, Callable[[argparse.Namespace], Iterator[Line]]] = {
    "dense": _dense,
    "small": _small,
    "tokens": _tokens,
    "sparse": _sparse,
    "encode": _encode,
}


def show(line: Line, figures: list[Figure]) -> None:
    """Print a line: each way, the fastest first."""
    ahead = verdict(line, figures)
    told = f": {ahead:.2f} times as fast" if ahead == ahead else ""
    print(f"\n{line.work}{told}{'  LATE' if ahead < line.least else ''}")
    for one in sorted(figures, key=lambda figure: figure.milliseconds):
        found = "" if one.recall != one.recall else f"{one.recall:.3f}"
        size = "" if one.nbytes != one.nbytes else f"{one.nbytes:.0f}"
        print(f"  {one.name:32} {one.milliseconds:10.3f} ms {found:>6} {size:>8}", flush=True)


def as_json(figure: Figure) -> str:
    """Return a figure as JSON, in which what is not known is null."""
    known = {name: None if one != one else one for name, one in figure._asdict().items()}
    return json.dumps(known, allow_nan=False)


def holds(line: Line, args: argparse.Namespace) -> bool:
    """Time a line and print it; return whether ours is as fast as its limit asks."""
    figures = timed(line, args.rounds)
    if args.json:
        print(*map(as_json, figures), sep="\n", flush=True)
    else:
        show(line, figures)
    return not verdict(line, figures) < line.least


def print_memory(args: argparse.Namespace) -> None:
    """Print what the columns of embedders take while they are loaded."""
    count = min(41_000, args.rows)
    told = records.memory(args.data, count)
    if args.json:
        names = "embedder", "bytes", "peak_bytes"
        print(*(json.dumps(dict(zip(names, one))) for one in told), sep="\n")
        return
    print(f"\nmemory of columns, {count} records: MB of arrays, MB at most while loading, times")
    for name, arrays, peak in told:
        print(f"  {name:4} {arrays / 1e6:8.0f} {peak / 1e6:8.0f} {peak / arrays:6.2f}")


def main(arguments: list[str] | None = None) -> int:
    """Print the lines that were asked for; return 1 where limits are and one is late."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join([*GROUPS, "memory"]))
    parser.add_argument("--rows", type=int, default=100_000, help="records, 100000 by default")
    parser.add_argument("--rounds", type=int, default=100, help="queries of a line")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of real embeddings")
    parser.add_argument("--limits", action="store_true", help="exit 1 where a line is late")
    parser.add_argument("--json", action="store_true", help="print figures as JSON lines")
    args = parser.parse_args(arguments)
    wanted = args.groups or [*GROUPS, "memory"]
    if unknown := {*wanted} - {*GROUPS, "memory"}:
        parser.error(f"no group {', '.join(sorted(unknown))}: they are {', '.join(GROUPS)}, memory")
    lines = (line for name in wanted if name in GROUPS for line in GROUPS[name](args))
    late = [line.work for line in lines if not holds(line, args)]
    if "memory" in wanted:
        print_memory(args)
    return int(args.limits and bool(late))


if __name__ == "__main__":
    sys.exit(main())
