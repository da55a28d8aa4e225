"""Compare new embeddings with those that codebooks were trained on.

Encodes a sample of the new embeddings and sets their loss (1 - cosine, with its 95 % interval)
beside what training measured on examples held out. Exits with 1 where the loss has risen by more
than the tolerance: then train a codebook on the new embeddings. With --store the samples that a
store keeps of its records and queries are compared: the latest with what training measured, or with
earlier ones.

example:
  cgcython drift E1=new.npy --models models
  cgcython drift E1=new.npy E7=code.npy --models models --tolerance 0.1 --json
  cgcython drift --store memories
"""

import argparse

from cgcython.base import Profile
from cgcython.cli import options
from cgcython.cli.cells import percent
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.streams import say
from cgcython.codecs.base import codec_class
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.embedders import Codebooks
from cgcython.embedders.route import DRIFT_TOLERANCE
from cgcython.errors import UsageError
from cgcython.evaluation.drift import Drift, drift
from cgcython.evaluation.stored_drift import StoredDrift, stored_drift
from cgcython.inputs.columns import DenseColumn
from cgcython.store import RecordStore

STORED_HEADERS = "embedder of samples loss interval expected best drifted".split()
HEADERS = "embedder rows loss interval trained top10 trained unused drifted".split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser, "inputs", nargs="*")
    options.add_models(parser)
    parser.add_argument("--store", metavar="PATH", help="compare what this store sampled over time")
    parser.add_argument(
        "--tolerance",
        type=options.tolerance,
        default=DRIFT_TOLERANCE,
        metavar="PART",
        help=f"by which the loss may rise (default {DRIFT_TOLERANCE})",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.store is not None:
        return _run_stored(args)
    if not args.inputs or args.models is None:
        raise UsageError("drift takes INPUT and --models, or --store")
    found = _measured(args)
    if args.json:
        print_json({one: {**f._asdict(), "drifted": f.drifted} for one, f in found.items()})
    else:
        print_table(HEADERS, [_cells(one, facts) for one, facts in found.items()])
    drifted = [one for one, facts in found.items() if facts.drifted]
    if drifted:
        say(f"cgcython: {', '.join(drifted)}: train on the new embeddings, then encode them again")
    return LIMIT if drifted else OK


def _run_stored(args: argparse.Namespace) -> int:
    if args.inputs or args.models is not None:
        raise UsageError("drift --store takes no INPUT and no --models: a store has its own")
    with RecordStore.open(args.store, read_only=True, create=False) as store:
        found = stored_drift(store.statistics().quality, args.tolerance)
    if args.json:
        print_json([_told(one) for one in found])
    elif found:
        print_table(STORED_HEADERS, [_stored_cells(one) for one in found], keys=2)
    else:
        say("cgcython: the store has no samples yet: they come with records and searches")
    drifted = [f"{one.embedder} ({one.kind})" for one in found if one.drifted]
    if drifted:
        say(f"cgcython: {', '.join(drifted)}: train on the new embeddings, then encode them again")
    return LIMIT if drifted else OK


def _told(one: StoredDrift) -> dict[str, object]:
    """Return what JSON tells of one embedder; what is not known is null."""
    return {
        "embedder": one.embedder,
        "kind": one.kind,
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "samples": one.latest.samples,
        "loss": one.latest.mean,
        "interval": one.latest.interval if one.latest.samples > 1 else None,
        "expected": one.expected,
        "earlier_samples": one.earlier.samples,
        "earlier_loss": one.earlier.mean if one.earlier.samples else None,
        "similarity": one.similarity,
        "earlier_similarity": one.earlier_similarity,
        "drifted": one.drifted,
    }


def _stored_cells(one: StoredDrift) -> list[object]:
    low, high = one.latest.interval
    return [
        one.embedder,
        one.kind,
        one.latest.samples,
        percent(one.latest.mean),
        f"{percent(low)}..{percent(high)}" if one.latest.samples > 1 else "-",
        percent(one.expected),
        f"{one.similarity:.2f}" if one.similarity is not None else "-",
        "yes" if one.drifted else "no",
    ]


def _measured(args: argparse.Namespace) -> dict[str, Drift]:
    """Return the Drift of each embedder, by its short name."""
    profile, found = Profile.named(args.profile), {}
    corpus, codebooks = open_corpus(args.inputs, profile), Codebooks(args.models, profile)
    for model_id, column in corpus.items():
        embeddings, method = column.embeddings, profile[model_id].method
        if not codec_class(method).needs_codebook or not isinstance(embeddings, DenseColumn):
            raise UsageError(f"{model_id.short} is kept as {method}, which knows no training")
        codebook = codebooks[model_id]
        with naming(memory=corpus):
            found[model_id.short] = drift(codebook, embeddings.values, args.tolerance, args.threads)
    return found


def _cells(name: str, facts: Drift) -> list[object]:
    low, high = facts.interval
    return [
        name,
        facts.rows,
        percent(facts.loss),
        f"{percent(low)}..{percent(high)}",
        percent(facts.trained_loss),
        percent(facts.recall10, 1),
        percent(facts.trained_recall10, 1),
        percent(facts.unused_centroids, 1),
        "yes" if facts.drifted else "no",
    ]
