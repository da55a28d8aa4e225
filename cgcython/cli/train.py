"""Learn the codebook of a PQ embedder from example embeddings.

The examples must not be the embeddings that will be encoded, only of their kind; 9,984 or more
make a codebook worth trusting. More bytes per embedding lose less; a codebook over the limit of
5 % loss on examples held out is refused unless forced.

example:
  cgcython train E1 --input train.npy --models models --bytes 64
  cgcython train Code --input E7=code.npz:vectors --models models --bytes 32 --force
"""

import numpy as np

from cgcython.base import Profile, QuantizationMethod
from cgcython.cli import options
from cgcython.cli.failures import OK, UsageError
from cgcython.cli.inputs import open_corpus
from cgcython.cli.output import print_json
from cgcython.cli.progress import progress, say
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.codebook_file import codebook_path
from cgcython.codecs.training import MAX_SAMPLES, SUBVECTORS
from cgcython.errors import RecallLossExceeded

ROTATIONS = {"opq": "opq", "pca": "pca", "none": None}


def add_arguments(parser):
    parser.add_argument("embedder", metavar="EMBEDDER", type=options.embedder, help="E1, Code, ...")
    parser.add_argument("--input", required=True, metavar="SPEC", help="example embeddings")
    parser.add_argument("--models", required=True, metavar="DIR", help="where codebooks live")
    parser.add_argument(
        "--bytes", type=int, default=64, choices=SUBVECTORS, help="per embedding (default 64)"
    )
    parser.add_argument(
        "--rotation", choices=ROTATIONS, default="opq", help="before cutting (default opq)"
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same codebook (default 0)")
    parser.add_argument("--sample", type=options.positive, metavar="N", help="train on N rows only")
    parser.add_argument("--force", action="store_true", help="keep a codebook over its limit")
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args):
    profile = Profile.named(args.profile)
    if profile[args.embedder].method is not QuantizationMethod.PQ8:
        method = profile[args.embedder].method
        raise UsageError(f"{args.embedder.short} is kept as {method}, which needs no codebook")
    rows = _samples(args, profile)
    codebook = _train(args, rows)
    path = codebook_path(args.models, args.embedder.title)
    try:
        codebook.save(path, force=args.force)
    except RecallLossExceeded as error:
        error.model_id = args.embedder
        error.add_note("(with --bytes of a larger size, or --force)")
        raise
    _report(args, codebook, path)
    return OK


def _samples(args, profile):
    spec = args.input if "=" in args.input else f"{args.embedder.short}={args.input}"
    corpus = open_corpus([spec], profile)
    if list(corpus) != [args.embedder]:
        raise UsageError(f"--input {args.input} is not of {args.embedder.short}")
    values = corpus[args.embedder].column.values
    wanted = min(args.sample or MAX_SAMPLES, len(values))
    if wanted == len(values):
        return values
    return values[np.sort(np.random.default_rng(args.seed).permutation(len(values))[:wanted])]


def _train(args, rows):
    with progress(None, "step", f"train {args.embedder.short}") as bar:
        return PQ8Codebook.train(
            rows,
            num_subvectors=args.bytes,
            seed=args.seed,
            rotation=ROTATIONS[args.rotation],
            num_threads=args.threads,
            progress=lambda step, steps, loss: bar.at(step, steps, f"loss {loss:.2%}"),
            model=args.embedder.title,
        )


def _report(args, codebook, path):
    facts, limit = dict(codebook.metadata), codebook.method.max_recall_loss()
    loss = facts["held_out_loss"]
    if loss > limit:
        say(f"cgcython: warning: forced: embeddings lose {loss:.2%}, the limit is {limit:.0%}")
    if args.json:
        about = {"codebook_id": codebook.codebook_id, "bytes": codebook.num_subvectors}
        print_json({"path": str(path), **about, "width": codebook.width, **facts})
        return
    print(
        f"{args.embedder.short}: {codebook.num_subvectors} bytes per embedding "
        f"({4 * codebook.embedding_dim} as float32), loss {loss:.2%} on "
        f"{facts['held_out_samples']} held out of {facts['samples']}; wrote {path}"
    )
