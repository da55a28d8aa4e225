"""Measure loss and retrieval quality against float32.

Encodes a corpus, asks it the queries as float32 and as codes, and prints per embedder: bytes,
loss (mean, 99th percentile, maximum), how much of float32's top 10 the codes find, and with
judgements nDCG@10 and Recall@10 of both with the relative drop and its 95 % interval (paired
bootstrap over queries). Several embedders are also fused by reciprocal rank. With --store the
records of a store are evaluated instead of codes made on the spot. `cgcython eval methods`
compares all methods and sizes, `cgcython eval tokens` ways to prune and code tokens.

example:
  cgcython eval E1=docs.npy --queries E1=queries.npy --qrels qrels.npy --models models
  cgcython eval corpus.npz --queries queries.npz --qrels judged.npz:qrels --store memories --json
"""

from cgcython.base import Profile
from cgcython.cli import options
from cgcython.cli.failures import OK
from cgcython.cli.judging import read_judgements
from cgcython.cli.output import change_cells, print_json, print_table
from cgcython.cli.progress import progress, say
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.reading import open_store
from cgcython.embedders.ladder import LADDER
from cgcython.errors import UsageError
from cgcython.evaluation.comparison import Contender, compare
from cgcython.evaluation.representations import Codes, Stored
from cgcython.router import QuantizationRouter

HEADERS = (
    "embedder method count queries bytes float32 us loss% p99% max% top10 "
    "nDCG@10 coded drop% interval Recall@10 coded drop% interval"
).split()


def add_arguments(parser):
    options.add_inputs(parser, "inputs")
    options.add_inputs(parser, "--queries", required=True)
    options.add_qrels(parser)
    options.add_models(parser)
    parser.add_argument("--store", metavar="PATH", help="evaluate the records of a store")
    parser.add_argument(
        "--metric", choices=("cosine", "dot"), default="cosine", help="default cosine"
    )
    steps = "; ".join(f"{number}: {step.name}" for number, step in enumerate(LADDER))
    parser.add_argument(
        "--step",
        type=int,
        choices=range(len(LADDER)),
        default=0,
        help=f"the layouts that a byte budget may lead to ({steps}; default 0)",
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args):
    if args.store:
        with open_store(args.store) as store:
            corpus = open_corpus(args.inputs, store.profile)
            found = _contenders(corpus, store.router, args, store)
            rows = _compared(found, corpus, args, store.profile)
    else:
        profile = Profile.named(args.profile)
        corpus = open_corpus(args.inputs, profile)
        router = QuantizationRouter(args.models, args.profile)
        rows = _compared(_contenders(corpus, router, args), corpus, args, profile)
    if args.json:
        print_json({"rows": [row.as_dict() for row in rows]})
        return OK
    print_table(HEADERS, [_cells(row) for row in rows])
    say(_summary(rows[-1]))
    return OK


def _contenders(corpus, router, args, store=None):
    found = []
    for model_id, source in corpus.items():
        if not len(source.embeddings):
            raise UsageError(f"{model_id.short} has no embeddings to evaluate")
        memories = source.memories(0, len(source.embeddings))
        codec = router.encoders[router.profile[model_id].method].compact_codec(model_id, args.step)
        side = Codes(codec)
        if store is not None:
            side = Stored(codec, router, _fetch(store, corpus, model_id, memories))
        found.append(Contender(model_id, source.embeddings, memories, side, args.metric))
    return found


def _fetch(store, corpus, model_id, memories):
    """Return the function that reads a block of an embedder's records; each must be there."""

    def fetch(first, count):
        numbers = memories[first : first + count].tolist()
        found = [store.quantized(corpus.ids[one : one + 1][0], model_id) for one in numbers]
        for memory, record in zip(numbers, found):
            if record is None:
                raise UsageError(f"memory {memory} of the corpus is not in {store.path}")
        return found

    return fetch


def _compared(contenders, corpus, args, profile):
    queries = open_corpus(args.queries, profile)
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = read_judgements(args.qrels, len(asked), corpus.num_memories)
    total = 2 * sum(len(one.column) for one in contenders)
    with progress(total, "row", "eval") as bar:
        return compare(contenders, asked, relevant, args.threads, bar.advance)


def _cells(row):
    loss = [None] * 3 if row.loss is None else [row.loss.mean, row.loss.p99, row.loss.max]
    return [
        row.embedder,
        row.method,
        row.memories,
        row.queries,
        f"{row.bytes_each:.0f}",
        f"{row.float32_bytes_each:.0f}",
        None if row.encode_us is None else f"{row.encode_us:.2f}",
        *(None if one is None else f"{100 * one:.3f}" for one in loss),
        None if row.overlap10 is None else f"{row.overlap10:.3f}",
        *change_cells(row.ndcg10),
        *change_cells(row.recall10),
    ]


def _summary(row):
    ratio = row.float32_bytes_each / row.bytes_each
    told = (
        f"{row.bytes_each:.0f} bytes each, {row.float32_bytes_each:.0f} as float32: 1/{ratio:.1f}"
    )
    if row.ndcg10 is None:
        return told
    return f"{told}; nDCG@10 {row.ndcg10.quantized:.4f}, {row.ndcg10.float32:.4f} as float32"
