"""Measure what pruned, pooled and coded tokens cost beside all tokens as float32.

Keeps half the tokens of each text (or 1 - COMPRESSION of them) by every scoring method, merges
them into as many (pooled), codes them at smaller precisions, and prints for each: tokens and bytes,
how much of the top 10 of all tokens is found, and with judgements the relative drop of nDCG@10
and Recall@10 with its 95 % interval (paired bootstrap over queries).

example:
  cgcython eval tokens E12=docs.npz:values,offsets --queries E12=queries.npz:values,offsets
  cgcython eval tokens corpus.npz --queries queries.npz --qrels qrels.npy --limits
"""

import numpy as np

from cgcython.base import ModelId, Profile
from cgcython.cli import options
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.judging import named_array, read_judgements
from cgcython.cli.output import change_cells, print_json, print_table
from cgcython.cli.progress import progress, say
from cgcython.corpus.opening import open_corpus
from cgcython.errors import InvalidInput, UsageError
from cgcython.evaluation.tokens import HALF, compare_tokens, plan
from cgcython.token_array import TokenArray

HEADERS = (
    "tokens precision each bytes top10 nDCG@10 kept drop% interval Recall@10 kept drop% interval"
).split()
E12 = ModelId.LATE_INTERACTION


def add_arguments(parser):
    parser.add_argument("what", choices=["tokens"], metavar="tokens", help="these measurements")
    options.add_inputs(parser, "inputs")
    options.add_inputs(parser, "--queries", required=True)
    options.add_qrels(parser)
    parser.add_argument(
        "--attention", metavar="FILE[:ARRAY]", help="weight of each token; of a matrix, column 0"
    )
    parser.add_argument(
        "--norms",
        metavar="FILE[:ARRAY]",
        help="length of each token before it was normalised, for magnitude and max_abs",
    )
    parser.add_argument(
        "--compression", type=options.part, default=HALF, metavar="C", help="part removed, def. 0.5"
    )
    parser.add_argument(
        "--limits", action="store_true", help="exit 1 when a row loses more than it may (C = 0.5)"
    )
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args):
    if args.limits and (args.qrels is None or args.compression != HALF):
        raise UsageError(f"--limits needs --qrels and --compression {HALF}")
    profile = Profile.named(args.profile)
    documents, num_memories = _tokens(args.inputs, profile)
    queries, num_queries = _tokens(args.queries, profile)
    attention, norms = (_per_token(getattr(args, one), documents) for one in ("attention", "norms"))
    relevant = read_judgements(args.qrels, num_queries, num_memories)
    with progress(len(plan(attention)), "row", "eval tokens") as bar:
        rows = compare_tokens(
            documents,
            queries,
            relevant,
            compression=args.compression,
            attention=attention,
            norms=norms,
            num_threads=args.threads,
            advance=bar.advance,
        )
    if args.json:
        print_json({"documents": num_memories, "rows": [row.as_dict() for row in rows]})
    else:
        print_table(HEADERS, [_cells(row) for row in rows])
    for row in rows:
        for missed in row.missed:
            say(f"{row.tokens} as {row.precision}: {missed}")
    return LIMIT if args.limits and any(row.missed for row in rows) else OK


def _tokens(specs, profile):
    """Return the tokens of all texts, which every memory has, and the number of texts."""
    corpus = open_corpus(specs, profile)
    if E12 not in corpus or not len(corpus[E12].embeddings):
        raise UsageError(f"{' '.join(specs)}: no tokens; name them as E12=FILE:values,offsets")
    texts = corpus[E12].embeddings.batch(0, len(corpus[E12].embeddings))
    memories = corpus[E12].memories(0, len(texts))
    placed = [np.empty((0, profile[E12].dimension), np.float32)] * corpus.num_memories
    for memory, text in zip(memories.tolist(), texts):
        placed[memory] = text
    return TokenArray.from_list(placed), corpus.num_memories


def _per_token(text, documents):
    """Return one number per token from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    found = named_array(text)
    found = found[:, 0] if found.ndim == 2 else found
    if found.shape != (documents.num_tokens,) or found.dtype.kind not in "fiu":
        expected = f"{documents.num_tokens} numbers, one per token"
        raise InvalidInput(what=text, expected=expected, actual=f"{found.dtype} {found.shape}")
    return found.astype(np.float32)


def _cells(row):
    return [
        row.tokens,
        row.precision,
        f"{row.tokens_each:.1f}",
        f"{row.bytes_per_token:.0f}",
        f"{row.overlap10:.3f}",
        *change_cells(row.ndcg10),
        *change_cells(row.recall10),
    ]
