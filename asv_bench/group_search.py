"""Compares groups of shards with one searcher of the folder, all in one process.

    python asv_bench/group_search.py --embedders E8 --rows 100000 --queries 100
    python asv_bench/group_search.py --embedders E8,E9 --queries 30
    python asv_bench/group_search.py --embedders E8 --approximate

Searches take turns, and the medians of CPU time are told, each beside that of one searcher in the
same rounds. Hits must be equal; with --approximate, the share of the exact ones is told instead.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cgcython import Profile, SearchResult, ShardWriter, open_corpus
from cgcython.search.groups import GroupSearcher
from cgcython.search.shards import ShardSearcher
from cgcython.types import Array

ROWS = {
    "E8": 'E8 = { dimension = 384, method = "float8_e4m3" }',
    "E9": 'E9 = { dimension = 1024, method = "binary" }',
}
DIMENSIONS = {"E8": 384, "E9": 1024}
CENTRES, SHARDS = 500, 8
Search = Callable[[], SearchResult]


def embeddings(names: list[str], count: int, seed: int) -> dict[str, Array]:
    """Return embeddings around centres, which are the same for every seed."""
    rng, found = np.random.default_rng(seed), {}
    for name in names:
        centres = np.random.default_rng(1).standard_normal((CENTRES, DIMENSIONS[name]))
        rows = centres[rng.integers(0, CENTRES, count)]
        found[name] = (rows + rng.standard_normal(rows.shape)).astype(np.float32)
    return found


def measured(searches: dict[str, Search], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of each search in each round, after a first one that loads."""
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for turn in range(rounds + 1):
        for name, search in searches.items():
            began = time.process_time()
            search()
            if turn:
                seconds[name].append(time.process_time() - began)
    return seconds


def recall(found: SearchResult, exact: SearchResult) -> float:
    """Return the share of the exact hits that were found."""
    pairs = zip(found.ids.tolist(), exact.ids.tolist())
    return float(np.mean([len(set(own) & set(best)) / len(best) for own, best in pairs]))


def report(searches: dict[str, Search], exact: SearchResult, rounds: int) -> None:
    """Print the CPU time of each search beside the first one's, and what it found."""
    seconds = measured(searches, rounds)
    (first, *_) = seconds.values()
    for name, own in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(own, first))
        found = searches[name]()
        same = "equal hits" if found.hits == exact.hits else f"recall {recall(found, exact):.4f}"
        read = found.rows_read.mean()
        told = (
            f"{1e3 * statistics.median(own):8.1f} ms  x {ratio:.2f}  {same}, {read:.0f} rows read"
        )
        print(f"{name:14} {told}")


def main() -> None:
    """Write the shards of random memories, and measure searches of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedders", default="E8", help="of E8,E9")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--approximate", action="store_true")
    args = parser.parse_args()
    names = args.embedders.split(",")
    profile = Profile.from_toml("\n".join(ROWS[one] for one in names))
    with tempfile.TemporaryDirectory(prefix="cgcython-groups-") as folder:
        corpus = open_corpus(embeddings(names, args.rows, 2), profile)
        shards = Path(folder) / "shards"
        size = -(-args.rows // SHARDS)
        ShardWriter(shards, profile=profile, shard_size=size).write_all(corpus)
        queries, whole = embeddings(names, args.queries, 3), ShardSearcher(shards)
        ways = {"approximate": args.approximate}
        searches: dict[str, Search] = {"one searcher": lambda: whole.search_many(queries, **ways)}
        for groups in (1, 2, 4, 8):
            own = GroupSearcher(shards, num_groups=groups)
            searches[f"{groups} groups"] = lambda own=own: own.search_many(queries, **ways)
        report(searches, whole.search_many(queries), args.rounds)


if __name__ == "__main__":
    main()
