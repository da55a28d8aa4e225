"""Quantize a corpus into a store or into safetensors shards.

Row i of every input is memory i. With --store each memory becomes one checked record; storing an
id again replaces it, and --resume skips the ids that are there. With --out the codes of each
embedder become columns that map into memory; finished shards are skipped when it runs again. With
--scheduler workers make shards, or ranges of a store on servers, side by side: the same bytes.

example:
  cgcython encode E1=docs.npy E6=bm25.npz:indptr,indices,weights --models models --store memories
  cgcython encode corpus.safetensors --models models --out shards --profile mine.toml
  cgcython encode docs.parquet --ids id --metadata lang,year --store memories --profile mine.toml
  cgcython encode corpus.safetensors --models models --out shards --scheduler processes
"""

import argparse
import time
from dataclasses import replace

from cgcython.base import Profile
from cgcython.cli import options
from cgcython.cli.encode_jobs import Encoded, into_servers, into_shards, into_store
from cgcython.cli.output import print_json, print_table
from cgcython.cli.streams import say
from cgcython.codecs.base import codec_class
from cgcython.corpus.byte_counts import ByteCounts, EmbedderBytes
from cgcython.corpus.shard_jobs import SHARD_SIZE
from cgcython.embedders.losses import told_losses
from cgcython.errors import UsageError
from cgcython.fingerprint import DEFAULT_BUDGET_BYTES

PRUNING = "pruning_ratio"  # the setting of a profile's row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser, "inputs")
    options.add_id_column(parser)
    parser.add_argument(
        "--metadata",
        type=options.names,
        metavar="NAME,...",
        help="columns that become metadata of a store's memories (default: all columns of a table "
        "that are no embeddings)",
    )
    options.add_models(parser)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--store", metavar="PATH", help="folder of the store, made when missing")
    target.add_argument("--out", metavar="DIR", help="folder of safetensors shards")
    options.add_budget(parser, DEFAULT_BUDGET_BYTES)
    parser.add_argument(
        "--pruning-ratio",
        type=options.pruning_ratio,
        metavar="PART",
        help="part of the tokens of a text that is kept, or auto (default: the profile's)",
    )
    parser.add_argument("--resume", action="store_true", help="skip ids that the store has")
    parser.add_argument(
        "--shard-size",
        type=options.positive,
        default=SHARD_SIZE,
        metavar="N",
        help=f"memories per shard (default {SHARD_SIZE})",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_scheduler(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    done = _encoded(args)
    seconds = time.perf_counter() - started
    losses = {one: found for one, found in done.losses.items() if found.samples}
    if args.json:
        facts = {"skipped": done.skipped, "seconds": round(seconds, 6), **done.counts.as_dict()}
        print_json({**facts, "sampled_loss": {one.short: f.mean for one, f in losses.items()}})
        return done.code
    if not done.memories:
        say(f"cgcython: warning: there are no memories in {' '.join(args.inputs)}")
    _print_bytes(done.counts)
    number = done.counts.memories
    each = f" ({1e6 * seconds / number:.0f} us each)" if number else ""
    say(f"{number} memories encoded in {seconds:.2f} s{each}, {done.skipped} skipped")
    if losses:
        say(f"sampled loss: {told_losses(losses)}")
    return done.code


def _encoded(args: argparse.Namespace) -> Encoded:
    """Encode as the arguments say; raises UsageError for those that do not go together."""
    profile = _profile(args)
    if args.out is not None:
        if args.metadata:
            raise UsageError("--metadata is kept in a store; shards have none: use --store")
        return into_shards(args, profile)
    if args.scheduler is not None:
        return into_servers(args, profile)
    if args.on_damage == "skip":
        raise UsageError("--on-damage skip is for --out and for --scheduler; leave it out")
    return into_store(args, profile)


def _profile(args: argparse.Namespace) -> Profile | None:
    """Return the profile that was given, with the part of tokens to keep if that was too."""
    profile: Profile | None = args.profile
    if args.pruning_ratio is None:
        return profile
    rows = list(Profile.named(profile).values())
    pruned = [row for row in rows if PRUNING in codec_class(row.method).row_settings]
    if not pruned:
        raise UsageError("--pruning-ratio is for tokens; the profile has no embedder of them")
    changed = {PRUNING: args.pruning_ratio}
    return Profile(
        replace(row, settings={**dict(row.settings), **changed}) if row in pruned else row
        for row in rows
    )


def _print_bytes(counts: ByteCounts) -> None:
    """Print bytes per embedding and per memory."""
    rows: list[list[object]] = [
        [one.short, share.method, share.memories, *_bytes_each(share)]
        for one, share in sorted(counts.embedders.items())
    ]
    rows.append(["memory", "all", counts.memories, *_bytes_each(counts)])
    print_table(["", "method", "count", "bytes each", "as float32", "ratio"], rows)


def _bytes_each(counts: ByteCounts | EmbedderBytes) -> list[str]:
    stored, plain, number = counts.stored_bytes, counts.float32_bytes, counts.memories or 1
    return [f"{stored / number:.0f}", f"{plain / number:.0f}", f"{plain / (stored or 1):.1f}"]
