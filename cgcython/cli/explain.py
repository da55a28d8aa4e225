"""Explains hits: which tokens of a query met which tokens of a record, with their names."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cgcython.base import EmbedderId, Profile
from cgcython.cli import options, plots
from cgcython.cli.text_files import read_lines
from cgcython.codecs.base import InputKind, codec_class
from cgcython.corpus.memory_ids import row_id, row_uuid
from cgcython.errors import InvalidInput
from cgcython.inputs.columns import Embedding
from cgcython.records import SparseVector
from cgcython.search import FingerprintStore, Hit
from cgcython.search.explanation import Explanation, explain
from cgcython.search.shards import ShardSearcher
from cgcython.store.ids import StoredId, as_key, parse_id, spelled

Names: TypeAlias = dict[bytes, list[str]]  # the tokens of a text by its id


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `search` explains, and how."""
    parser.add_argument(
        "--explain", action="store_true", help="show which tokens of the best hits (E12) were met"
    )
    parser.add_argument(
        "--explain-hits",
        type=options.positive,
        default=3,
        metavar="N",
        help="hits per query (default 3)",
    )
    parser.add_argument(
        "--explain-plot",
        metavar="FILE",
        help=f"draw them too: {' or '.join(plots.KINDS)}, needs [plot]",
    )
    for name in ("query", "document"):
        parser.add_argument(
            f"--{name}-tokens",
            metavar="FILE.txt",
            help="names of tokens: a line per text, between spaces; ID<tab>tokens names its memory",
        )


@dataclass(frozen=True, eq=False)
class Match:
    """One hit of one query, explained, with the names of tokens where they are known."""

    rank: int
    title: str
    explanation: Explanation
    query_names: list[str]
    document_names: list[str]

    def query_name(self, i: int) -> str:
        """Return the name of a query token."""
        return self.query_names[i] if self.query_names else ""

    def document_name(self, position: int) -> str:
        """Return the name of the token at a position of the text."""
        return self.document_names[position] if self.document_names else ""


class Explainer:
    """Explains hits; knows the names of tokens."""

    def __init__(
        self, searcher: FingerprintStore | ShardSearcher, args: argparse.Namespace
    ) -> None:
        if args.explain_plot:
            plots.require("--explain-plot", args.explain_plot)
        self._searcher, self._hits = searcher, args.explain_hits
        self._query_names = read_names(args.query_tokens)
        self._document_names = read_names(args.document_tokens)

    def explain(
        self, row: int, query: Mapping[EmbedderId, Embedding], hits: Sequence[Hit]
    ) -> list[Match]:
        """Return the Match of each of the best hits that has tokens."""
        embedder = token_embedder(self._searcher.profile, query)
        if embedder is None:
            return []
        tokens = query[embedder]
        assert not isinstance(tokens, SparseVector)  # of a method that takes tokens
        found = []
        for rank, hit in enumerate(hits[: self._hits], 1):
            explanation = explain(self._searcher, hit.id, tokens, embedder)
            if explanation is not None:
                found.append(self._match(row, rank, hit, explanation))
        return found

    def _match(self, row: int, rank: int, hit: Hit, explanation: Explanation) -> Match:
        score = max(0.0, float(explanation.similarities.mean()))
        title = f"query {row}, hit {rank}: {spelled(hit.id)}, MaxSim {score:.4f}"
        query_names = _checked(
            self._query_names.get(row_id(row)), len(explanation.best), f"query {row}"
        )
        document_names = _checked(
            self._document_names.get(as_key(hit.id)),
            explanation.original_tokens,
            f"memory {spelled(hit.id)}",
        )
        return Match(rank, title, explanation, query_names, document_names)


def token_embedder(profile: Profile, embedders: Iterable[EmbedderId]) -> EmbedderId | None:
    """Return the first of some embedders whose embeddings are tokens, None where none is."""
    for one in embedders:
        if codec_class(profile[one].method).inputs is InputKind.TOKENS:
            return one
    return None


def read_names(path: str | None) -> Names:
    """Return the tokens by id of a text file, none where no file is named."""
    if path is None:
        return {}
    by_row: Names = {}
    by_id: Names = {}
    for number, line in enumerate(read_lines(path, "UTF-8 text")):
        name, tab, tokens = line.partition("\t")
        one = _id_in(name) if tab else None
        if one is not None:
            by_id[as_key(one)] = tokens.split()
        if one is None or isinstance(one, str):  # a tab may as well be between two tokens
            by_row[row_id(number)] = by_row[row_uuid(number)] = line.split()
    return {**by_row, **by_id}


def _id_in(name: str) -> StoredId | None:
    try:
        return parse_id(name)
    except InvalidInput:
        return None


def _checked(names: list[str] | None, count: int, what: str) -> list[str]:
    if names is not None and len(names) != count:
        raise InvalidInput(what=f"tokens of {what}", expected=f"{count} names", actual=len(names))
    return names or []
