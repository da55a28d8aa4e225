"""What a batch of whole records costs, phase by phase: us a record, CPU time of one thread.

    python asv_bench/encode_phases.py --records 512

All thirteen embedders, 32 tokens, E6 and E13 at 5 %, rotated codebooks; medians. `gather` brings
the embeddings of a list into a matrix, `encode` is the codec, `frame` writes sections with their
checksums. The rest are sizes, samples of the loss, manifests and the records themselves. Last
stands the time by the clock on one and on two threads, which means something on a quiet machine.
"""

import argparse
import sys
from collections import Counter
from statistics import median
from time import perf_counter, thread_time

from benchmarks.inputs import FINGERPRINT, router

from cgcython import Fingerprint
from cgcython.fingerprint import encode_all

PHASES = ("gather", "encode", "frame")


def main(arguments=None):
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=512, metavar="N")
    parser.add_argument("--rounds", type=int, default=15, metavar="N")
    args = parser.parse_args(arguments)
    memories = [Fingerprint(FINGERPRINT).copied() for _ in range(args.records)]
    found, whole = phases(memories, router("pca"), args.rounds)
    print(f"{'':14}" + "".join(f"{phase:>10}" for phase in PHASES))
    for method in dict.fromkeys(method for method, _ in found):
        print(f"{method:14}" + "".join(f"{found[method, phase]:10.2f}" for phase in PHASES))
    print(f"{'rest':14}{whole - sum(found.values()):10.2f}\n{'whole':14}{whole:10.2f}")
    one, two = (clock(memories, router("pca"), n, args.rounds) for n in (1, 2))
    print(f"by the clock: {one:.1f} on one thread, {two:.1f} on two, {one / two:.2f} times as fast")
    return 0


def phases(memories, router, rounds):
    """Return `{(method, phase): us a record}`, and the us of a whole record."""
    timed = [round_of(memories, router) for _ in range(rounds + 1)][1:]
    each = 1e6 / len(memories)
    keys = timed[0][0].keys()
    found = {key: each * median(phase[key] for phase, _ in timed) for key in keys}
    return found, each * median(whole for _, whole in timed)


def round_of(memories, router):
    """Return the seconds of each phase, and of all together."""
    seconds = Counter()
    for part in router._parts_of(memories):
        method, codec = part.route.codec.method.value, part.route.codec
        started = thread_time()
        embeddings = part.source.batch(0, len(memories))
        gathered = thread_time()
        batch = codec.encode_batch(embeddings)
        encoded = thread_time()
        codec.sections(batch, part.route.model_id)
        seconds[method, "gather"] += gathered - started
        seconds[method, "encode"] += encoded - gathered
        seconds[method, "frame"] += thread_time() - encoded
    started = thread_time()
    records = encode_all(memories, router)
    whole = thread_time() - started
    del records  # giving them back is no part of it
    return seconds, whole


def clock(memories, router, num_threads, rounds):
    """Return the least us a record by the clock."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        records = encode_all(memories, router, num_threads=num_threads)
        times.append(perf_counter() - started)
        del records
    return 1e6 * min(times) / len(memories)


if __name__ == "__main__":
    sys.exit(main())
