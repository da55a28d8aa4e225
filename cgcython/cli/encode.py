"""Quantize a corpus into a store or into safetensors shards.

Row i of every input is memory i. With --store each memory becomes one checked record; storing an
id again replaces it, and --resume skips the ids that are there. With --out the codes of each
embedder become columns that map into memory; finished shards are skipped when it runs again.

example:
  cgcython encode E1=docs.npy E6=bm25.npz:indptr,indices,weights --models models --store memories
  cgcython encode corpus.safetensors --models models --out shards --profile mine.toml
"""

import time

from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress, say
from cgcython.corpus.corpus import open_corpus
from cgcython.corpus.writing import ShardSink, StoreSink
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES


def add_arguments(parser):
    options.add_inputs(parser, "inputs")
    options.add_models(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--store", metavar="PATH", help="folder of the store, made when missing")
    target.add_argument("--out", metavar="DIR", help="folder of safetensors shards")
    parser.add_argument(
        "--budget",
        type=options.positive,
        default=DEFAULT_BUDGET_BYTES,
        metavar="BYTES",
        help=f"refuse larger memories (default {DEFAULT_BUDGET_BYTES})",
    )
    parser.add_argument("--resume", action="store_true", help="skip ids that the store has")
    parser.add_argument(
        "--shard-size",
        type=options.positive,
        default=65536,
        metavar="N",
        help="memories per shard (default 65536)",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args):
    with StoreSink(args) if args.store else ShardSink(args) as sink:
        corpus = open_corpus(args.inputs, sink.profile)
        seconds = _encode(corpus, sink)
    tally = sink.tally
    if args.json:
        print_json({"skipped": sink.skipped, "seconds": round(seconds, 6), **tally.as_dict()})
        return OK
    _print_bytes(tally)
    say(
        f"{tally.memories} memories encoded in {seconds:.2f} s "
        f"({1e6 * seconds / max(1, tally.memories):.0f} us each), {sink.skipped} skipped"
    )
    return OK


def _encode(corpus, sink):
    started = time.perf_counter()
    with progress(corpus.num_memories, "memory", "encode") as bar:
        for start in range(0, max(1, corpus.num_memories), sink.chunk):
            stop = min(start + sink.chunk, corpus.num_memories)
            sink.write(corpus, start, stop)
            bar.advance(stop - start)
    return time.perf_counter() - started


def _print_bytes(counts):
    """Print bytes per embedding and per memory."""
    rows = [
        [one.short, line.method, line.memories, *_bytes_each(line, line.memories)]
        for one, line in sorted(counts.lines.items())
    ]
    rows.append(["memory", "all", counts.memories, *_bytes_each(counts, counts.memories)])
    print_table(["", "method", "count", "bytes each", "as float32", "ratio"], rows)


def _bytes_each(counts, number):
    stored, plain = counts.stored_bytes, counts.float32_bytes
    number = number or 1
    return [f"{stored / number:.0f}", f"{plain / number:.0f}", f"{plain / (stored or 1):.1f}"]
