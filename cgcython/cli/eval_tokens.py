"""Measure what pruned, pooled and coded tokens cost beside all tokens as float32.

Keeps half the tokens of each text (or 1 - COMPRESSION of them) by every scoring method, merges
them into as many (pooled) or into a quarter, codes them at smaller precisions, and prints for each:
tokens, bytes of one and of a text, 1 - MaxSim of a text with what is kept of it, how much of the
top 10 of all tokens is found, by how much that is more than of the half that covers the others as
E4M3, and with judgements the relative drop of nDCG@10 and Recall@10. Intervals are those of 95 %
(paired bootstrap over queries).

example:
  cgcython eval tokens E12=docs.npz:values,offsets --queries E12=queries.npz:values,offsets
  cgcython eval tokens corpus.npz --queries queries.npz --qrels qrels.npy --limits
"""

import argparse

import numpy as np

from cgcython.cli import options
from cgcython.cli.cells import change_cells, gain_cells, rounded
from cgcython.cli.failures import LIMIT, OK
from cgcython.cli.judging import read_judgements
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.streams import say
from cgcython.corpus.named_array import named_array
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.errors import InvalidInput, UsageError
from cgcython.evaluation.corpora import tokens_of
from cgcython.evaluation.limits import FIRST_TOKENS, TOKENS
from cgcython.evaluation.tokens import HALF, TokenRow, compare_tokens, first_tokens, plan
from cgcython.token_array import TokenArray
from cgcython.types import Float32Array

HEADERS = (
    "tokens precision each bytes text loss% top10 gain interval "
    "nDCG@10 kept drop% interval Recall@10 kept drop% interval"
).split()


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
        "--tokens",
        type=options.positive,
        metavar="N",
        help="measure texts that are cut to their first N tokens",
    )
    options.add_limits(parser, "(C = 0.5; N = 32 or not said)")
    options.add_profile(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    if args.limits and (args.qrels is None or args.compression != HALF):
        raise UsageError(f"--limits needs --qrels and --compression {HALF}")
    if args.limits and args.tokens not in (None, *FIRST_TOKENS):
        known = " or ".join(map(str, FIRST_TOKENS))
        raise UsageError(f"--limits needs --tokens {known}, or whole texts")
    rows = _compared(args)
    if args.json:
        print_json({"documents": rows[0].documents, "rows": [row.as_dict() for row in rows]})
    else:
        print_table(HEADERS, [_cells(row) for row in rows], keys=2)
    for row in rows:
        for missed in row.missed:
            say(f"{row.tokens} as {row.precision}: {missed}")
    return LIMIT if args.limits and any(row.missed for row in rows) else OK


def _compared(args: argparse.Namespace) -> list[TokenRow]:
    memories, asked = (open_corpus(specs, args.profile) for specs in (args.inputs, args.queries))
    with naming(memory=memories, query=asked):
        documents, queries = tokens_of(memories), tokens_of(asked)
    attention, norms = (_per_token(one, documents) for one in (args.attention, args.norms))
    relevant = read_judgements(args.qrels, len(queries), len(documents))
    limit = FIRST_TOKENS.get(args.tokens, {}) if args.tokens else TOKENS
    if args.tokens:
        documents, is_first = first_tokens(documents, args.tokens)
        attention, norms = (one if one is None else one[is_first] for one in (attention, norms))
    with progress(len(plan(attention)), "row", "eval tokens") as bar:
        return compare_tokens(
            documents,
            queries,
            relevant,
            compression=args.compression,
            attention=attention,
            norms=norms,
            limit=limit,
            num_threads=args.threads,
            advance=bar.advance,
        )


def _per_token(text: str | None, documents: TokenArray) -> Float32Array | None:
    """Return one number per token from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    found = named_array(text)
    found = found[:, 0] if found.ndim == 2 else found
    if found.shape != (documents.num_tokens,) or found.dtype.kind not in "fiu":
        expected = f"{documents.num_tokens} numbers, one per token"
        raise InvalidInput(what=text, expected=expected, actual=f"{found.dtype} {found.shape}")
    return found.astype(np.float32)


def _cells(row: TokenRow) -> list[object]:
    return [
        row.tokens,
        row.precision,
        f"{row.tokens_each:.1f}",
        f"{row.bytes_per_token:.0f}",
        f"{row.bytes_each:.0f}",
        f"{100 * row.loss.mean:.2f}",
        rounded(row.overlap10, 3),
        *gain_cells(row.gain10),
        *change_cells(row.ndcg10),
        *change_cells(row.recall10),
    ]
