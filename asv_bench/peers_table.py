"""Print the results of the side-by-side timing tool as a compact Markdown table.

    python asv_bench/peers_table.py peers_results.json

One line for each task, precision and number of threads: our fastest call beside the fastest other
package of the same precision, or of any precision where no other has ours (which is then named).
Training that ends over 1 % worse than ours is other work, and not compared.
A ratio above 1 says that ours is faster; ~ marks a figure whose repeats disagreed.
"""

import argparse
import json
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

OURS = "cgcython"
LEVEL = 0.97
LOSS, LEEWAY = re.compile(r"rel MSE ([0-9.]+)"), 1.01
COLUMNS = ("task", "precision", "threads", "ours", "best peer", "name", "ratio", "check of ours")


class Line(NamedTuple):
    """Our fastest call of a task at one precision and the fastest other package, or None."""

    ours: dict
    peer: dict | None

    @property
    def ratio(self):
        """How many times as fast ours is."""
        return self.peer["sec"] / self.ours["sec"] if self.peer else None

    def cells(self):
        """Return the text of each column."""
        ours, peer = self.ours, self.peer
        return (
            ours["task"],
            ours["prec"],
            str(ours["threads"]),
            f"{figure(ours)} {ours['unit']}",
            figure(peer) if peer else "",
            named(peer, ours["prec"]) if peer else "none",
            f"{self.ratio:.2f}" if peer else "",
            ours["check"].replace("|", "/"),
        )


def figure(result):
    """Return a value in three or more digits."""
    value, noisy = result["value"], "~" if result["noisy"] else ""
    return f"{value:.0f}{noisy}" if value >= 100 else f"{value:.3g}{noisy}"


def named(peer, precision):
    """Return a peer's name, with its precision where that differs."""
    return peer["peer"] if peer["prec"] == precision else f"{peer['peer']} ({peer['prec']})"


def is_ours(result):
    """Return whether a result is this package's."""
    return result["peer"].startswith(OURS)


def lines(results):
    """Return the Lines of all tasks, in the order of the results, one thread before two."""
    done = [result for result in results if "sec" in result]
    order = {task: i for i, task in enumerate(dict.fromkeys(r["task"] for r in done))}
    done.sort(key=lambda r: (order[r["task"]], r["threads"]))
    groups = groupby(done, key=lambda r: (r["task"], r["threads"]))
    return [line for _, group in groups for line in lines_of_task(list(group))]


def lines_of_task(results):
    """Return one Line per precision of ours."""
    ours, peers = [r for r in results if is_ours(r)], [r for r in results if not is_ours(r)]
    precisions = dict.fromkeys(result["prec"] for result in ours)
    return [line_of(fastest(same(ours, prec)), peers) for prec in precisions]


def line_of(ours, peers):
    """Return the Line of one of our results."""
    peers = [peer for peer in peers if loss(peer) <= LEEWAY * loss(ours)]
    return Line(ours, fastest(same(peers, ours["prec"]) or peers))


def loss(result):
    """Return the loss that a result's check states, or 0."""
    found = LOSS.search(result["check"])
    return float(found[1]) if found else 0.0


def same(results, precision):
    """Return the results of one precision."""
    return [result for result in results if result["prec"] == precision]


def fastest(results):
    """Return the result with the least time, or None without any."""
    return min(results, key=lambda result: result["sec"], default=None)


def markdown(table):
    """Return Lines as a Markdown table."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(line.cells() for line in table)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def summary(table):
    """Return on how many lines ours is ahead, those whose precision a peer shares first."""
    shared = [line.ratio for line in table if line.peer and line.peer["prec"] == line.ours["prec"]]
    others = [line.ratio for line in table if line.peer and line.peer["prec"] != line.ours["prec"]]
    level = sum(LEVEL <= ratio <= 1 for ratio in shared)
    return (
        f"Of {len(shared)} lines whose precision a peer shares, ours is ahead on "
        f"{sum(ratio > 1 for ratio in shared)} and level (within 3 %) on {level}; of "
        f"{len(others)} beside another precision, ahead on {sum(ratio > 1 for ratio in others)}."
    )


def main(arguments=None):
    """Print the table and how many of its lines are ahead."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="the JSON file of the timing tool")
    table = lines(json.loads(parser.parse_args(arguments).results.read_text()))
    print(markdown(table))
    print(f"\n{summary(table)}")


if __name__ == "__main__":
    sys.exit(main())
