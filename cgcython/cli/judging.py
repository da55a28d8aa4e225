"""Reads the judgements that arguments name."""

import argparse
from collections.abc import Callable
from typing import Any

from cgcython.base import Profile
from cgcython.corpus.array_files import ONLY, open_arrays
from cgcython.corpus.beside import has_columns, side_by_side
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.specs import split_file
from cgcython.errors import UsageError
from cgcython.evaluation.corpora import codebook_judge
from cgcython.evaluation.metrics import judgements
from cgcython.types import Array


def read_judgements(
    text: str | None, num_queries: int, num_memories: int
) -> list[dict[int, int]] | None:
    """Return `{memory: gain}` for each query from `FILE[:ARRAY]`, None where none is named."""
    if text is None:
        return None
    return judgements(named_array(text), num_queries, num_memories)


def named_array(text: str) -> Array:
    """Return the array that `FILE[:ARRAY]` names, the first one without a name.

    Of a table, columns of numbers are put side by side: those that are named, or the first three.
    """
    path, names, _ = split_file(text)
    arrays = open_arrays(path)
    if has_columns(arrays):
        return side_by_side(arrays, names)
    name = names[0] if names else next(iter(arrays), ONLY)
    if name not in arrays:
        raise UsageError(f"{text}: {path} has {', '.join(arrays)}")
    return arrays[name]


def judge_of(args: argparse.Namespace, profile: Profile) -> Callable[[Any], dict[str, Any]]:
    """Return what measures a codebook or a codec on --judged, --queries and --qrels."""
    corpus, queries = (open_corpus(specs, profile) for specs in (args.judged, args.queries))
    if list(corpus) != [args.embedder]:
        raise UsageError(f"--judged {' '.join(args.judged)} is not of {args.embedder.short}")
    asked = queries.fingerprints(0, queries.num_memories)
    relevant = read_judgements(args.qrels, len(asked), corpus.num_memories) or []
    return codebook_judge(corpus, args.embedder, asked, relevant, args.threads)
