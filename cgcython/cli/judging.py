"""Reads the judgements that arguments name."""

import argparse
from collections.abc import Callable
from typing import Any

from cgcython.base import Profile
from cgcython.corpus.named_array import named_array
from cgcython.corpus.opening import open_corpus
from cgcython.errors import UsageError
from cgcython.evaluation.corpora import codebook_judge
from cgcython.evaluation.metrics import judgements


def read_judgements(
    text: str | None, num_queries: int, num_memories: int
) -> list[dict[int, int]] | None:
    """Return `{memory: gain}` for each query from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    return judgements(named_array(text), num_queries, num_memories)


def judge_of(args: argparse.Namespace, profile: Profile) -> Callable[[Any], dict[str, Any]]:
    """Return what measures a codebook or a codec on --judged, --queries and --qrels."""
    corpus, queries = (open_corpus(specs, profile) for specs in (args.judged, args.queries))
    if list(corpus) != [args.embedder]:
        raise UsageError(f"--judged {' '.join(args.judged)} is not of {args.embedder.short}")
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = read_judgements(args.qrels, len(asked), corpus.num_memories) or []
    return codebook_judge(corpus, args.embedder, asked, relevant, args.threads)
