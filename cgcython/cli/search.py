"""Find the memories nearest to query embeddings.

Each query row is one search: every embedder it has ranks the stored codes by an exact scan, and
the rankings are fused by reciprocal rank. `similarity` compares like with like; the columns after
it are the scores of the query itself by embedder. With --explain each token of a query is shown
beside the tokens of its best hits.

example:
  cgcython search E1=queries.npy --store memories -k 5
  cgcython search queries.npz --store memories --embedders E1,E6 --weights E1=2,E6=1 --json
  cgcython search queries.npz --store memories --embedders E9 --rerank E12 --oversample 20
  cgcython search E12=queries.npz:values,offsets --store memories --explain --explain-plot hits.png
"""

import numpy as np

from cgcython.base import ModelId
from cgcython.cli import options
from cgcython.cli.explain import Explainer, draw, print_heat_map
from cgcython.cli.explain import add_arguments as add_explain
from cgcython.cli.failures import OK
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.corpus.opening import open_corpus
from cgcython.corpus.reading import open_searcher
from cgcython.errors import UsageError
from cgcython.fingerprint import Fingerprint


def add_arguments(parser):
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
    parser.add_argument(
        "--metric", choices=("cosine", "dot"), default="cosine", help="default cosine"
    )
    _add_ways(parser)
    add_explain(parser)
    options.add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON line per query")


def _add_ways(parser):
    parser.add_argument(
        "--among", metavar="FILE", help="rank only these ids: a UUID per line, or .npy u8 [n, 16]"
    )
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
        help="let HNSW graphs propose what to score (the extra ann; see cgcython index --graphs)",
    )
    parser.add_argument(
        "--candidates",
        type=options.positive,
        metavar="N",
        help="as --approximate, N records of each graph at least",
    )


def run(args):
    with open_searcher(args.store) as store:
        queries = open_corpus(args.queries, store.profile)
        _require(queries, args)
        explainer = Explainer(store, args) if args.explain or args.explain_plot else None
        if explainer and ModelId.LATE_INTERACTION not in queries:
            raise UsageError("--explain is about tokens; the queries have no E12")
        results = _results(store, queries, args, explainer)
        if args.json:
            results = list(_printed_as_json(results, args.explain))
        else:
            results = list(results)
            _print(results, _columns(args, queries))
        matches = [match for *_, found in results for match in found]
        if args.explain and not args.json:
            for match in matches:
                print_heat_map(match)
        if args.explain_plot:
            draw(matches, args.explain_plot)
    return OK


def _printed_as_json(results, explained):
    """Print a line for each query as it is answered; yield what was not forgotten."""
    for row, hits, matches in results:
        told = [_as_dict(hit) for hit in hits]
        if explained:
            for match in matches:
                told[match.rank - 1]["tokens"] = match.explanation.matches
        print_json({"query": row, "hits": told})
        yield row, (), matches


def _require(queries, args):
    asked = {"--embedders": args.embedders or (), "--rerank": [args.rerank] * bool(args.rerank)}
    for option, embedders in asked.items():
        missing = set(embedders) - queries.keys()
        if missing:
            names = ", ".join(one.short for one in sorted(missing))
            raise UsageError(f"the queries have no {names}, which {option} asks for")


def _among(path):
    """Return the ids of a file, None without one."""
    if path is None:
        return None
    if path.endswith(".npy"):
        return [row.tobytes() for row in np.load(path)]
    with open(path) as lines:
        return list(filter(None, map(str.strip, lines)))


def _results(store, queries, args, explainer):
    """Yield (row, hits, matches) of every query, and the explanations of the best hits."""
    how = {"metric": args.metric, "among": _among(args.among), "oversample": args.oversample}
    how |= {"approximate": args.candidates or args.approximate, "num_threads": args.threads}
    with progress(queries.num_memories, "query", "search") as bar:
        for row, query in enumerate(queries.fingerprints(0, queries.num_memories)):
            wanted = [one for one in args.embedders or query if one in query]
            rerank = args.rerank if args.rerank in query else None
            hits = []
            if wanted:
                hits = store.search(
                    Fingerprint(query), args.k, wanted, args.weights, rerank=rerank, **how
                )
            yield row, hits, explainer.explain(row, query, hits) if explainer else []
            bar.advance()


def _as_dict(hit):
    scores = {one.short: score for one, score in sorted(hit.scores.items())}
    return {"id": str(hit.id), "similarity": hit.similarity, "scores": scores}


def _print(results, embedders):
    rows = [
        [row, rank, hit.id, f"{hit.similarity:.4f}", *_scores(hit, embedders)]
        for row, hits, _ in results
        for rank, hit in enumerate(hits, 1)
    ]
    print_table(["query", "rank", "id", "similarity", *(one.short for one in embedders)], rows)


def _columns(args, queries):
    """Return the embedders that have a column of scores."""
    shown = list(args.embedders or queries)
    return shown + [args.rerank] * (args.rerank is not None and args.rerank not in shown)


def _scores(hit, embedders):
    scores = (hit.scores.get(one) for one in embedders)
    return [None if score is None else f"{score:.4f}" for score in scores]
