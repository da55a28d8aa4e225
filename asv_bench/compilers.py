"""Time kernels of two builds of the package side by side: two compilers, or before and after.

    CC=clang-14 python setup.py build_ext --build-lib /tmp/clang    # then the package's own files:
    cp -rn cgcython /tmp/clang/
    python asv_bench/compilers.py . /tmp/clang --level v3
    python asv_bench/compilers.py . /tmp/clang --level v3 --limit 1.15 --only maxsim pq

A child process for each build runs one task at a time, in turns; figures are medians in
microseconds, and how many times as long the second build takes. --limit exits with 1 beyond it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path


def child(tree, level):
    """Start a process that has the package of one build and waits for names of tasks."""
    paths = {"PYTHONPATH": str(Path(tree).resolve()), "CGCYTHON_LEVEL": level}
    return subprocess.Popen(
        [sys.executable, __file__, "--serve"],
        env={**os.environ, **paths, "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tasks():
    """Return calls by name, of the package that this process was given."""
    import numpy as np

    from cgcython import TokenArray, kernels, max_sim, max_sim_batch
    from cgcython.kernels import pq_layout

    rng = np.random.default_rng(18)

    def floats(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    query, pair = floats(32, 128), floats(256, 128)
    counts = rng.integers(50, 512, 60)
    tokens, offsets = floats(int(counts.sum()), 128), np.concatenate([[0], np.cumsum(counts)])
    wide = TokenArray(tokens, offsets)
    arrays = {"float32": wide} | {kind: wide.quantize(kind) for kind in ("bfloat16", "int8")}
    known = {"maxsim one pair": lambda: max_sim(query, pair)}
    for kind, tokens in arrays.items():
        known[f"maxsim {kind}, 60 documents"] = partial(max_sim_batch, query, tokens)
    rows, centroids = floats(600, 1024), floats(8, 256, 128)
    codes, values = np.empty((600, 8), np.uint8), np.empty_like(rows)
    turns = {"": None, "rotated ": np.linalg.qr(floats(1024, 1024))[0]}
    for kind, turn in turns.items():
        book = pq_layout.prepare(centroids, *(() if turn is None else (np.zeros(1024), turn)))
        room = pq_layout.scratch(book)
        known |= {
            f"pq {kind}encode 600": partial(kernels.pq.encode_rows, rows, book, codes, room),
            f"pq {kind}encode one": partial(
                kernels.pq.encode_rows, rows[:1], book, codes[:1], room
            ),
            f"pq {kind}decode 600": partial(kernels.pq.decode_rows, codes, book, values, room),
        }
    return known


def microseconds(call):
    """Return the CPU time of one call, of as many as take some milliseconds."""
    count, spent = 1, 0.0
    while spent < 4e3:
        count *= 2 if spent else 1
        began = time.process_time()
        for _ in range(count):
            call()
        spent = (time.process_time() - began) * 1e6
    return spent / count


def serve():
    """Answer names of tasks with the CPU time of one call, until the input ends."""
    known = tasks()
    print(json.dumps(list(known)), flush=True)
    for line in sys.stdin:
        print(microseconds(known[line.strip()]), flush=True)


def ask(process, name):
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", nargs=2, metavar="FOLDER", help="holds a built cgcython/")
    parser.add_argument("--level", default="v3", help="of both builds (default v3)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="tasks with a word")
    parser.add_argument("--limit", type=float, help="exit 1 where the second takes longer")
    args = parser.parse_args()
    pair = [child(tree, args.level) for tree in args.builds]
    names, _ = [json.loads(one.stdout.readline()) for one in pair]
    late = 0
    for name in names:
        if args.only and not any(word in name for word in args.only):
            continue
        times = [[ask(one, name) for one in pair] for _ in range(args.rounds)]
        first, second = (statistics.median(column) for column in zip(*times))
        ratio = statistics.median(b / a for a, b in times)
        is_late = args.limit is not None and ratio > args.limit
        late += is_late
        print(f"{name:44} {first:10.2f} {second:10.2f} {ratio:6.2f}{' LATE' if is_late else ''}")
    for one in pair:
        one.stdin.close()
        one.wait()
    return 1 if late else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        raise SystemExit(main())
