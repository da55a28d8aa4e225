"""Measure every method that suits the embeddings, at every size, beside float32.

Dense embeddings are coded as float8, scalar codes of 8 to 2 bits, sign bits (compared with bits,
and with float queries), 1,024 projected bits (ten seeds), product quantization of all sizes, plain
and rotated, residual codes (rq8) and signs of centred values; sparse ones in every layout. Row i of
a corpus is coded by codebooks that have not seen it: trained on the rows of the other folds, three
times each, beside those of --train (mixed), or on the other folds alone (in-domain). Figures are
means over seeds. With --scheduler each run of a method is a task of a worker.

  bytes  of the codes, and of the scale that an embedding has beside them
  us     to encode an embedding on one thread; ns: to score a row of a scan of 65,536
  top10  the part of float32's top 10 that is found
  gain   by how much top10 exceeds that of rotated PQ of the same bytes, or of its nearest size with
         fewer (rotated PQ's own: that); the interval is a paired bootstrap over queries
  list   how many of a method's first rows hold 98 % of float32's top 10

example:
  cgcython eval methods E8=docs.npy --queries E8=queries.npy --qrels qrels.npy --train other.npy
  cgcython eval methods E8=docs.npy --queries E8=queries.npy --seeds 1 --plot methods.svg --json
  cgcython eval methods E8=docs.npy --queries E8=queries.npy --seeds 1 --peers
"""

import argparse
from functools import partial

from cgcython.base import Profile
from cgcython.cli import options, plots
from cgcython.cli.cells import change_cells, gain_cells, loss_cells, rounded
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.judging import read_judgements
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.scheduling import runner_of
from cgcython.cli.streams import say
from cgcython.codecs.training import SUBVECTORS
from cgcython.corpus.specs import absolute
from cgcython.evaluation.folds import COPIES
from cgcython.evaluation.method_jobs import MethodsJob, compare_job
from cgcython.evaluation.methods import MethodRow
from cgcython.evaluation.peers import require_faiss

HEADERS = (
    "method training bytes runs us ns loss% p99% max% top10 gain interval list "
    "nDCG@10 drop% interval Recall@10 drop% interval"
).split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["methods"], metavar="methods", help="these measurements")
    options.add_inputs(parser, "input")
    options.add_inputs(parser, "--queries", required=True)
    options.add_qrels(parser)
    parser.add_argument(
        "--train", metavar="FILE[:ARRAY]", help="embeddings of other texts, to train codebooks on"
    )
    parser.add_argument(
        "--in-domain", action="store_true", help="also train without --train; default where none"
    )
    parser.add_argument("--folds", type=_folds, default=2, metavar="N", help="default 2")
    parser.add_argument(
        "--seeds", type=options.positive, default=5, metavar="N", help="of training, default 5"
    )
    parser.add_argument("--sizes", type=_sizes, metavar="8,32,...", help="bytes, default all")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also train and judge faiss's PQ, OPQ, RQ, RaBitQ and SQ; needs pip install faiss-cpu",
    )
    options.add_metric(parser)
    parser.add_argument(
        "--plot", metavar="FILE.png|.svg", help="draw what is kept against bytes, of all methods"
    )
    options.add_limits(parser)
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_scheduler(parser, unit=None)
    options.add_json(parser)


def _folds(text: str) -> int:
    if (number := options.positive(text)) < 2:
        raise argparse.ArgumentTypeError(
            f"expected 2 or more, as one leaves no rows to train on, got {text}"
        )
    return number


def _sizes(text: str) -> list[int]:
    sizes = [options.positive(part) for part in text.split(",")]
    if not set(sizes) <= set(SUBVECTORS):
        expected = ", ".join(map(str, SUBVECTORS))
        raise argparse.ArgumentTypeError(f"expected some of {expected}, got {text!r}")
    return sorted(set(sizes))


def run(args: argparse.Namespace) -> int:
    if args.plot:
        plots.require("--plot", args.plot)
    if args.peers:
        require_faiss()
    rows = _compared(args)
    if args.json:
        how = {"folds": args.folds, "seeds": args.seeds, "copies": COPIES}
        print_json({"training": how, "rows": [row.as_dict() for row in rows]})
    else:
        print_table(HEADERS, [_cells(row) for row in rows], keys=3)
    for row in rows:
        for missed in row.missed:
            say(f"{row.method}, {row.bytes_each:.0f} bytes: {missed}")
    if args.plot:
        plots.draw_methods(rows, args.plot)
    return LIMIT if args.limits and any(row.missed for row in rows) else OK


def _compared(args: argparse.Namespace) -> list[MethodRow]:
    job = MethodsJob(
        tuple(map(absolute, args.input)),
        tuple(map(absolute, args.queries)),
        Profile.named(args.profile).to_toml(),
        None if args.train is None else absolute(args.train),
        args.in_domain,
        args.folds,
        args.seeds,
        None if args.sizes is None else tuple(args.sizes),
        args.peers,
        args.metric,
        args.threads,
    )
    relevant = partial(read_judgements, args.qrels)
    with runner_of(args) as runner, progress(None, "run", "eval methods") as bar:
        run = None if args.scheduler is None else runner.run
        return compare_job(job, relevant, run=run, hear=bar.at)


def _cells(row: MethodRow) -> list[object]:
    return [
        row.method,
        row.training,
        f"{row.bytes_each:.0f}",
        row.runs,
        rounded(row.encode_us, 2),
        rounded(row.scan_ns, 2),
        *loss_cells(row.loss),
        rounded(row.overlap10, 3),
        *gain_cells(row.gain10),
        row.shortlist,
        *change_cells(row.ndcg10)[1:],
        *change_cells(row.recall10)[1:],
    ]
