"""Find the memories nearest to query embeddings.

Each query row is one search: every embedder it has ranks the stored codes by an exact scan, and
the rankings are fused by reciprocal rank. `similarity` compares like with like; the columns after
it are the scores of the query itself by embedder.

example:
  cgcython search E1=queries.npy --store memories -k 5
  cgcython search queries.npz --store memories --embedders E1,E6 --weights E1=2,E6=1 --json
"""

from cgcython.cli import options
from cgcython.cli.failures import OK, UsageError
from cgcython.cli.inputs import open_corpus
from cgcython.cli.output import print_json, print_table
from cgcython.cli.progress import progress
from cgcython.cli.sources import open_store
from cgcython.fingerprint import Fingerprint


def add_arguments(parser):
    options.add_inputs(parser, "queries")
    parser.add_argument("--store", required=True, metavar="PATH", help="folder of the store")
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
    options.add_threads(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON line per query")


def run(args):
    with open_store(args.store) as store:
        queries = open_corpus(args.queries, store.profile)
        _require(queries, args)
        results = _results(store, queries, args)
        if args.json:
            for row, hits in results:
                print_json({"query": row, "hits": [_as_dict(hit) for hit in hits]})
        else:
            _print(list(results), args.embedders or list(queries))
    return OK


def _require(queries, args):
    missing = set(args.embedders or ()) - queries.keys()
    if missing:
        names = ", ".join(one.short for one in sorted(missing))
        raise UsageError(f"the queries have no {names}, which --embedders asks for")


def _results(store, queries, args):
    """Yield (row, hits) of every query that has an embedder to search by."""
    with progress(queries.num_memories, "query", "search") as bar:
        for row, query in enumerate(queries.fingerprints(0, queries.num_memories)):
            wanted = [one for one in args.embedders or query if one in query]
            hits = []
            if wanted:
                hits = store.search(
                    Fingerprint(query),
                    args.k,
                    wanted,
                    args.weights,
                    metric=args.metric,
                    num_threads=args.threads,
                )
            yield row, hits
            bar.advance()


def _as_dict(hit):
    scores = {one.short: score for one, score in sorted(hit.scores.items())}
    return {"id": str(hit.id), "similarity": hit.similarity, "scores": scores}


def _print(results, embedders):
    rows = [
        [row, rank, hit.id, f"{hit.similarity:.4f}", *_scores(hit, embedders)]
        for row, hits in results
        for rank, hit in enumerate(hits, 1)
    ]
    print_table(["query", "rank", "id", "similarity", *(one.short for one in embedders)], rows)


def _scores(hit, embedders):
    scores = (hit.scores.get(one) for one in embedders)
    return [None if score is None else f"{score:.4f}" for score in scores]
