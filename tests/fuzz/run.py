"""Fuzz the readers of bytes with atheris: only documented errors may come out, and soon.

    python tests/fuzz/run.py --seconds 15            # all of them, as CI does
    python tests/fuzz/run.py --seconds 600 shard     # ten minutes of one

Prints a line per reader; exits with 1 when something was found. What was found lies in
tests/fuzz/finds/READER/, where tests/fuzz/test_finds.py tries it again for ever. An exception is
kept once for each place that raises it; a crash, a hang, and memory beyond a limit end the reader.
"""

import argparse
import random
import re
import resource
import subprocess
import sys
import tempfile
import traceback
import warnings
from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).parent
sys.path[0] = str(HERE.parent)  # for `fuzz`; this folder has names of the standard library

from fuzz.readers import READERS, load  # noqa: E402

LONGEST = 10  # seconds that one input may take
MOST_MB = 2048  # of memory
ADDRESSES = 16 << 30  # bytes a process may reserve; mapped files and threads count
GUIDED = 0.2  # part of the changes that libFuzzer makes, where a reader has its own


def main(arguments=None):
    """Fuzz the named readers, each in a process of its own, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--seconds", type=int, default=15, help="for each reader (default 15)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--finds", type=Path, default=HERE / "finds", help="where they are kept")
    parser.add_argument("--corpus", help=argparse.SUPPRESS)  # of the process that fuzzes
    args = parser.parse_args(arguments)
    if args.corpus:
        return fuzz(args.readers[0], args)
    print(f"{'reader':14}{'inputs':>10}{'a second':>10}{'kept':>8}  finds", flush=True)
    return max([one_reader(name, args) for name in args.readers or READERS])


def one_reader(name, args):
    """Fuzz one reader in a process of its own and print its line."""
    finds = args.finds / name
    finds.mkdir(parents=True, exist_ok=True)
    before = set(finds.iterdir())
    with tempfile.TemporaryDirectory() as corpus:
        command = [sys.executable, __file__, name, "--corpus", corpus, "--finds", args.finds]
        command += ["--seconds", str(args.seconds), "--seed", str(args.seed)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        kept = len(list(Path(corpus).iterdir()))
    found = sorted(one.name for one in set(finds.iterdir()) - before)
    if not before and not found:
        finds.rmdir()
    tried = int(_stat("number_of_executed_units", done.stderr))
    told = ", ".join(found) or done.returncode
    print(f"{name:14}{tried:10}{tried // args.seconds:10}{kept:8}  {told}", flush=True)
    if done.returncode or found:
        lines = [one for one in done.stderr.splitlines() if not one.startswith("INFO: ")]
        print(done.stdout[-6000:], *lines[-40:], sep="\n", file=sys.stderr)
    return int(bool(done.returncode or found))


def _stat(name, text):
    found = re.findall(rf"stat::{name}:\s+(\d+)", text)
    return found[-1] if found else 0


def fuzz(name, args):
    """Fuzz a reader in this process until libFuzzer ends it."""
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["cgcython"], enable_loader_override=False):
        reader = load(name)
        seeds = reader.seeds()  # made by modules that are imported only now
    for number, seed in enumerate(seeds):
        Path(args.corpus, f"seed-{number}").write_bytes(seed)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    options = {
        "max_total_time": args.seconds,
        "seed": args.seed,
        "timeout": LONGEST,
        "rss_limit_mb": MOST_MB,
        "max_len": 2 * max(map(len, seeds)),
        "artifact_prefix": f"{args.finds / name}/",
        "print_final_stats": 1,
        "verbosity": 0,
    }
    words = [__file__, *(f"-{key}={value}" for key, value in options.items()), args.corpus]
    atheris.Setup(
        words,
        going_on(reader.fuzz_one, args.finds / name),
        custom_mutator=mutator(reader, seeds, lambda *known: atheris.Mutate(*known)),
    )
    atheris.Fuzz()


def going_on(fuzz_one, folder):
    """Return `fuzz_one` that keeps the inputs whose exceptions are new, and goes on."""
    seen = set()

    def keeping(data):
        try:
            fuzz_one(data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            key = type(error), place.filename, place.lineno
            if key not in seen:
                seen.add(key)
                digest = blake2b(data, digest_size=4).hexdigest()
                (folder / f"{type(error).__name__}-{digest}").write_bytes(data)
                traceback.print_exc(file=sys.stdout)

    return keeping


def mutator(reader, seeds, guided):
    """Return the function that changes an input for libFuzzer."""
    own = getattr(reader, "mutate", None)

    def mutated(data, most, seed):
        rng = random.Random(seed)
        if own is None or rng.random() < getattr(reader, "GUIDED", GUIDED):
            return guided(data, most)
        return own(bytes(data) or seeds[0], rng)[:most]

    return mutated


if __name__ == "__main__":
    sys.exit(main())
