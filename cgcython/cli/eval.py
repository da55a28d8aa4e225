"""Measure loss and retrieval quality against float32.

Encodes a corpus, asks it the queries as float32 and as codes, and prints per embedder: bytes,
loss (mean, 99th percentile, maximum), how much of float32's top 10 the codes find, and with
judgements nDCG@10 and Recall@10 of both with the relative drop and its 95 % interval (paired
bootstrap over queries). Several embedders are also fused by reciprocal rank. With --store the
records of a store are evaluated instead of codes made on the spot. With --scheduler workers rank
the documents, some of one embedder at a time; the figures are the same. `cgcython eval methods`
compares all methods and sizes, `cgcython eval tokens` ways to prune and code tokens.

example:
  cgcython eval E1=docs.npy --queries E1=queries.npy --qrels qrels.npy --models models
  cgcython eval corpus.npz --queries queries.npz --qrels judged.npz:qrels --store memories --json
  cgcython eval corpus.npz --queries queries.npz --models models --scheduler processes
"""

import argparse
from os.path import abspath

from cgcython.base import Profile
from cgcython.cli import options
from cgcython.cli.cells import change_cells, loss_cells, rounded
from cgcython.cli.failures import OK
from cgcython.cli.judging import read_judgements
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.scheduling import runner_of
from cgcython.cli.streams import say
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.specs import absolute
from cgcython.embedders.ladder import LADDER
from cgcython.evaluation.comparison import Row, compare
from cgcython.evaluation.contenders import Contender
from cgcython.evaluation.corpora import contenders
from cgcython.evaluation.eval_jobs import EvalJob, compare_by, plan_of
from cgcython.router import QuantizationRouter
from cgcython.runners import Run
from cgcython.search import FingerprintStore
from cgcython.store.places import is_address

HEADERS = (
    "embedder method count queries bytes float32 us loss% p99% max% top10 "
    "nDCG@10 coded drop% interval Recall@10 coded drop% interval"
).split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser, "inputs")
    options.add_inputs(parser, "--queries", required=True)
    options.add_qrels(parser)
    options.add_models(parser)
    parser.add_argument("--store", metavar="PATH", help="evaluate the records of a store")
    options.add_metric(parser)
    steps = "; ".join(f"{number}: {step}" for number, step in enumerate(LADDER))
    parser.add_argument(
        "--step",
        type=int,
        choices=range(len(LADDER)),
        default=0,
        help=f"the layouts that a byte budget may lead to ({steps}; default 0)",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_scheduler(parser, unit=None)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    with runner_of(args) as runner:
        rows = _rows(args) if args.scheduler is None else _by_workers(runner.run, args)
    if args.json:
        print_json({"rows": [row.as_dict() for row in rows]})
        return OK
    print_table(HEADERS, [_cells(row) for row in rows])
    say(_summary(rows[-1]))
    return OK


def _rows(args: argparse.Namespace) -> list[Row]:
    return _of_store(args) if args.store else _of_codes(args)


def _by_workers(run: Run, args: argparse.Namespace) -> list[Row]:
    """Return the rows of the same comparison, whose documents workers ranked."""
    job = EvalJob(
        tuple(map(absolute, args.inputs)),
        tuple(map(absolute, args.queries)),
        args.store if args.store is None or is_address(args.store) else abspath(args.store),
        None if args.models is None else abspath(args.models),
        Profile.named(args.profile).to_toml(),
        args.step,
        args.metric,
        args.threads,
    )
    plan = plan_of(job)
    relevant = read_judgements(args.qrels, plan.queries, plan.memories)
    with progress(sum(part.rows for part in plan.parts), "row", "eval") as bar:
        return compare_by(run, job, plan, relevant, bar.advance)


def _of_store(args: argparse.Namespace) -> list[Row]:
    with FingerprintStore.open(args.store, read_only=True) as store:
        corpus = open_corpus(args.inputs, store.profile)
        how = {"step": args.step, "metric": args.metric, "store": store}
        return _compared(contenders(corpus, store.router, **how), corpus, args)


def _of_codes(args: argparse.Namespace) -> list[Row]:
    corpus = open_corpus(args.inputs, Profile.named(args.profile))
    router = QuantizationRouter(args.models, corpus.profile)
    return _compared(contenders(corpus, router, step=args.step, metric=args.metric), corpus, args)


def _compared(found: list[Contender], corpus: Corpus, args: argparse.Namespace) -> list[Row]:
    queries = open_corpus(args.queries, corpus.profile)
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = read_judgements(args.qrels, len(asked), corpus.num_memories)
    total = 2 * sum(len(one.column) for one in found)
    with progress(total, "row", "eval") as bar, naming(memory=corpus, query=queries):
        return compare(found, asked, relevant, args.threads, bar.advance)


def _cells(row: Row) -> list[object]:
    return [
        row.embedder,
        row.method,
        row.memories,
        row.queries,
        f"{row.bytes_each:.0f}",
        f"{row.float32_bytes_each:.0f}",
        rounded(row.encode_us, 2),
        *loss_cells(row.loss),
        rounded(row.overlap10, 3),
        *change_cells(row.ndcg10),
        *change_cells(row.recall10),
    ]


def _summary(row: Row) -> str:
    ratio = row.float32_bytes_each / row.bytes_each
    told = (
        f"{row.bytes_each:.0f} bytes each, {row.float32_bytes_each:.0f} as float32: 1/{ratio:.1f}"
    )
    if row.ndcg10 is None:
        return told
    return f"{told}; nDCG@10 {row.ndcg10.quantized:.4f}, {row.ndcg10.float32:.4f} as float32"
