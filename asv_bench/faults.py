"""Kill writers and damage files again and again, and say what a store lost and answered wrongly.

    python asv_bench/faults.py --tries 40

Kills strike at random moments, with either durability; damage any file, anywhere in it. Exits
with 1 when an acknowledged record was lost in silence, a value was not what was stored, or a reader
died or did not answer within a minute.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter

from fault_damage import DAMAGES, FILES, damages, stores
from fault_disks import NotMounted, full_disk, read_only_folder
from fault_kills import KINDS, kills
from fault_world import in_child

COLUMNS = ("tries", "refused", "named", "unhurt", "lost", "wrong", "died")


def main(arguments=None):
    """Print the fault table and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=20, help="of each fault")
    parser.add_argument("--seed", type=int, default=6)
    args = parser.parse_args(arguments)
    rng, failed = random.Random(args.seed), False
    print(f"{'fault':44}" + "".join(f"{name:>9}" for name in COLUMNS))
    for fault, counts in _faults(args.tries, rng):
        failed |= bool(counts["lost"] or counts["wrong"] or counts["died"])
        cells = "".join(f"{counts[name]:9}" for name in COLUMNS)
        print(f"{fault:44}{cells}", flush=True)
    return 1 if failed else 0


def _faults(tries, rng):
    for kind in KINDS:
        for durability in ("wal", "sync"):
            with tempfile.TemporaryDirectory() as folder:
                _, lost, wrong, notes = kills(folder, kind, durability == "sync", tries, rng)
            lost += len(notes)
            yield f"killed: {kind}, {durability}", Counter(tries=tries, lost=lost, wrong=wrong)
    yield from _disks(tries, rng)
    with tempfile.TemporaryDirectory() as folder:
        state = in_child(stores, folder)
        for source in ("killed", "closed"):
            for file in FILES:
                for damage in DAMAGES:
                    counts = damages(folder, source, file, damage, tries, rng, state, _say)
                    if counts["tries"]:
                        yield f"{damage}: {file}, {source}", counts


def _disks(tries, rng):
    faults = {
        "full disk, killed": lambda folder: full_disk(folder, True, rng),
        "full disk, closed": lambda folder: full_disk(folder, False, rng),
        "read-only folder, killed": lambda folder: read_only_folder(folder, rng),
    }
    for name, fault in faults.items():
        counts = Counter()
        try:
            for _ in range(tries):
                with tempfile.TemporaryDirectory() as folder:
                    counts += fault(folder)
        except NotMounted as error:
            _say(f"{name}: not tried, for nothing can be mounted here: {error}")
        else:
            yield name, counts


def _say(message):
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
