"""Compare new embeddings with those that codebooks were trained on.

Encodes a sample of the new embeddings and sets their loss (1 - cosine, with its 95 % interval)
beside what training measured on examples held out. Exits with 1 where the loss has risen by more
than the tolerance: then train a codebook on the new embeddings.

example:
  cgcython drift E1=new.npy --models models
  cgcython drift E1=new.npy E7=code.npy --models models --tolerance 0.1 --json
"""

import argparse

from cgcython.base import Profile, QuantizationMethod
from cgcython.cli import options
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import say
from cgcython.corpus.opening import open_corpus
from cgcython.embedders import Codebooks
from cgcython.errors import UsageError
from cgcython.evaluation.drift import drift
from cgcython.router import DRIFT_TOLERANCE

HEADERS = "embedder rows loss interval trained top10 trained unused drifted".split()


def add_arguments(parser):
    options.add_inputs(parser, "inputs")
    options.add_models(parser, required=True)
    parser.add_argument(
        "--tolerance",
        type=_part,
        default=DRIFT_TOLERANCE,
        metavar="PART",
        help=f"by which the loss may rise (default {DRIFT_TOLERANCE})",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def _part(text):
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 <= part < float("inf"):
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {text!r}")
    return part


def run(args):
    profile = Profile.named(args.profile)
    corpus, codebooks = open_corpus(args.inputs, profile), Codebooks(args.models, profile)
    found = {}
    for model_id, source in corpus.items():
        if profile[model_id].method is not QuantizationMethod.PQ8:
            method = profile[model_id].method
            raise UsageError(f"{model_id.short} is kept as {method}, which knows no training")
        values = source.embeddings.values
        found[model_id.short] = drift(codebooks[model_id], values, args.tolerance, args.threads)
    if args.json:
        print_json({one: {**f._asdict(), "drifted": f.drifted} for one, f in found.items()})
    else:
        print_table(HEADERS, [_cells(one, facts) for one, facts in found.items()])
    drifted = [one for one, facts in found.items() if facts.drifted]
    if drifted:
        say(f"cgcython: {', '.join(drifted)}: train on the new embeddings, then encode them again")
    return LIMIT if drifted else OK


def _cells(name, facts):
    low, high = facts.interval
    return [
        name,
        facts.rows,
        _percent(facts.loss),
        f"{_percent(low)}..{_percent(high)}",
        _percent(facts.trained_loss),
        _percent(facts.recall10),
        _percent(facts.trained_recall10),
        _percent(facts.unused_centroids),
        "yes" if facts.drifted else "no",
    ]


def _percent(part):
    return None if part is None else f"{part:.2%}"
