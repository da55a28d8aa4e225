"""Find the memories nearest to query embeddings.

Each query row is one search: every embedder it has ranks the stored codes by an exact scan, and
the rankings are fused by reciprocal rank. `similarity` compares like with like; the columns after
it are the scores of the query itself by embedder. With --explain each token of a query is shown
beside the tokens of its best hits.

example:
  cgcython search E1=queries.npy --store memories -k 5
  cgcython search queries.npz --store memories --embedders E1,E6 --weights E1=2,E6=1 --json
  cgcython search queries.npz --store memories --embedders E9 --rerank E12 --oversample 20
  cgcython search queries.npz --store shards --scheduler processes --json
  cgcython search E1=queries.npy --store memories --where '{"year": {"$gte": 2010}}' --metadata
  cgcython search E12=queries.npz:values,offsets --store memories --explain --explain-plot hits.png
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cgcython.base import EmbedderId
from cgcython.cli import options
from cgcython.cli.explain import Explainer, Match, token_embedder
from cgcython.cli.explain import add_arguments as add_explain
from cgcython.cli.failures import OK
from cgcython.cli.heat_map import draw, print_heat_map
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.search_groups import Groups, among, open_groups, tell_missing
from cgcython.cli.search_groups import add_arguments as add_groups
from cgcython.cli.search_groups import is_asked as groups_are_asked
from cgcython.cli.streams import say
from cgcython.corpus.corpus import Corpus
from cgcython.corpus.naming import naming
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.reading import has_any, open_searcher
from cgcython.errors import UsageError
from cgcython.fingerprint import Fingerprint
from cgcython.search import FingerprintStore
from cgcython.search.hits import Hit
from cgcython.search.shards import ShardSearcher
from cgcython.store.ids import spelled
from cgcython.store.places import name_of_place


class Answer(NamedTuple):
    """The hits of one query, and what is explained of them."""

    row: int
    hits: list[Hit]
    matches: list[Match]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_inputs(parser, "queries")
    parser.add_argument(
        "--store", required=True, metavar="PATH", help="folder of a store or of shards"
    )
    parser.add_argument(
        "-k", type=options.positive, default=10, metavar="N", help="hits per query (default 10)"
    )
    parser.add_argument(
        "--embedders", type=options.embedders, metavar="E1,E6", help="only these (default all)"
    )
    parser.add_argument(
        "--weights", type=options.weights, metavar="E1=2,E6=1", help="of the ranks (default 1 each)"
    )
    options.add_metric(parser, None)
    _add_ways(parser)
    add_explain(parser)
    add_groups(parser)
    options.add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON line per query")


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--among", metavar="FILE", help="rank only these ids: one a line, or an .npy of them"
    )
    options.add_where(parser, "rank only memories")
    parser.add_argument("--metadata", action="store_true", help="show that of hits too")
    parser.add_argument(
        "--rerank",
        type=options.embedder,
        metavar="E12",
        help="order a shortlist of the other embedders anew by this one",
    )
    parser.add_argument(
        "--oversample",
        type=options.positive,
        default=4,
        metavar="N",
        help="the shortlist is N times as long as the hits (default 4)",
    )
    parser.add_argument(
        "--approximate",
        action="store_true",
        help="let guides propose what to score (see cgcython index)",
    )
    parser.add_argument(
        "--graph",
        action="store_true",
        help="let HNSW graphs propose (the extra ann; see cgcython index --graphs)",
    )
    parser.add_argument(
        "--candidates",
        type=options.positive,
        metavar="N",
        help="as --approximate, N records of each embedder at least",
    )


def run(args: argparse.Namespace) -> int:
    tell_missing(args)
    if not groups_are_asked(args):
        with open_searcher(args.store, args.partial, args.cache) as searcher:
            _search(args, searcher)
        return OK
    with open_groups(args) as groups, open_searcher(args.store, partial=True) as searcher:
        _search(args, searcher, groups)
        return groups.tell_left_out()


def _search(
    args: argparse.Namespace,
    searcher: FingerprintStore | ShardSearcher,
    groups: Groups | None = None,
) -> None:
    """Print the hits of all queries, which a searcher finds, or groups of its shards."""
    queries = open_corpus(args.queries, searcher.profile)
    _require(queries, args)
    if not queries.num_memories:
        say(f"cgcython: warning: there are no queries in {' '.join(args.queries)}")
    if groups is None:
        _tell_empty(searcher, queries, args)
    explainer = Explainer(searcher, args) if args.explain or args.explain_plot else None
    if explainer and token_embedder(searcher.profile, queries) is None:
        raise UsageError("--explain is about tokens, which the queries have none of")
    found = _found(searcher, queries, args) if groups is None else groups.hits(queries, args)
    answers = _answers(found, queries, explainer)
    matches = _print_json(answers, args) if args.json else _print(answers, args, queries)
    if args.explain_plot:
        draw(matches, args.explain_plot)


def _require(queries: Corpus, args: argparse.Namespace) -> None:
    """Raise UsageError where an option names an embedder that no query has."""
    asked = {"--embedders": args.embedders or (), "--rerank": [args.rerank] * bool(args.rerank)}
    for option, embedders in asked.items():
        missing = set(embedders) - queries.keys()
        if missing:
            names = ", ".join(one.short for one in sorted(missing))
            raise UsageError(f"the queries have no {names}, which {option} asks for")


def _tell_empty(
    searcher: FingerprintStore | ShardSearcher, queries: Corpus, args: argparse.Namespace
) -> None:
    """Warn where nothing can be found: no memories, or none with an embedder."""
    wanted = args.embedders or list(queries)
    missing = [one for one in wanted if not has_any(searcher, one)]
    if not missing:
        return
    have = [one.short for one in searcher.profile if has_any(searcher, one)]
    names = ", ".join(one.short for one in missing)
    told = f"no memory of {name_of_place(args.store)} has {names}; they have {', '.join(have)}"
    say(f"cgcython: warning: {told if have else f'{name_of_place(args.store)} holds no memories'}")


def _found(
    searcher: FingerprintStore | ShardSearcher, queries: Corpus, args: argparse.Namespace
) -> Iterator[Sequence[Hit]]:
    """Yield the hits of every query."""
    how = {
        "metric": args.metric,
        "among": among(args.among),
        "where": args.where,
        "with_metadata": args.metadata,
        "oversample": args.oversample,
        "approximate": "graph" if args.graph else args.candidates or args.approximate,
        "num_threads": args.threads,
    }
    for query in queries.fingerprints(0, queries.num_memories):
        wanted = [one for one in args.embedders or query if one in query]
        rerank = args.rerank if args.rerank in query else None
        if not wanted:
            yield []
            continue
        with naming(query=queries):
            ways = {"rerank": rerank, **how}
            yield searcher.search(Fingerprint(query), args.k, wanted, args.weights, **ways)


def _answers(
    found: Iterator[Iterable[Hit]], queries: Corpus, explainer: Explainer | None
) -> Iterator[Answer]:
    """Yield the Answer to every query."""
    every = queries.fingerprints(0, queries.num_memories) if explainer else []
    with progress(queries.num_memories, "query", "search") as bar:
        for row, hits in enumerate(map(list, found)):
            yield Answer(row, hits, explainer.explain(row, every[row], hits) if explainer else [])
            bar.advance()


def _print_json(answers: Iterator[Answer], args: argparse.Namespace) -> list[Match]:
    """Print a line for each query as it is answered; return what was explained."""
    explained = []
    for row, hits, matches in answers:
        told = [_as_dict(hit) for hit in hits]
        if args.explain:
            for match in matches:
                told[match.rank - 1]["tokens"] = match.explanation.matches
        print_json({"query": row, "hits": told})
        explained += matches
    return explained


def _as_dict(hit: Hit) -> dict[str, Any]:
    scores = {one.short: score for one, score in sorted(hit.scores.items())}
    told = {"id": hit.id, "similarity": hit.similarity, "scores": scores}
    return told if hit.metadata is None else {**told, "metadata": hit.metadata}


def _print(answers: Iterator[Answer], args: argparse.Namespace, queries: Corpus) -> list[Match]:
    """Print a table of all hits, and heat maps if asked to; return what was explained."""
    embedders, found = _columns(args, queries), list(answers)
    rows = [
        [
            row,
            rank,
            spelled(hit.id),
            f"{hit.similarity:.4f}",
            *_scores(hit, embedders),
            *_metadata(hit),
        ]
        for row, hits, _ in found
        for rank, hit in enumerate(hits, 1)
    ]
    headers = ["query", "rank", "id", "similarity", *(one.short for one in embedders)]
    print_table(headers + ["metadata"] * args.metadata, rows, keys=2)
    explained = [match for answer in found for match in answer.matches]
    for match in explained if args.explain else ():
        print_heat_map(match)
    return explained


def _metadata(hit: Hit) -> list[str]:
    return [] if hit.metadata is None else [json.dumps(hit.metadata, ensure_ascii=False)]


def _columns(args: argparse.Namespace, queries: Corpus) -> list[EmbedderId]:
    """Return the embedders that have a column of scores."""
    shown = list(args.embedders or queries)
    return shown + [args.rerank] * (args.rerank is not None and args.rerank not in shown)


def _scores(hit: Hit, embedders: Sequence[EmbedderId]) -> list[str | None]:
    scores = (hit.scores.get(one) for one in embedders)
    return [None if score is None else f"{score:.4f}" for score in scores]
