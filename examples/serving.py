"""Answer searches over HTTP, from one process whose threads share one searcher.

    python examples/serving.py memories --port 8080 --warm E1,E8
    curl localhost:8080/search -d '{"query": {"E8": [0.1, ...]}, "k": 5}'
    curl localhost:8080/health

The folder is a store or one of shards; a store is opened to read, as it is then. A query names
embedders: dense ones are lists of numbers, sparse ones {"indices": [...], "weights": [...]}, tokens
lists of lists. Beside `query` and `k` the arguments `embedders`, `weights`, `rerank`, `oversample`,
`approximate` and `where` of `search` are taken. It speaks plain HTTP and asks nobody who they are:
put it behind what does.
"""

import argparse
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread

import numpy as np

from cgcython import Fingerprint, QuantizationError, SparseVector
from cgcython.corpus.reading import open_searcher

MOST_BYTES = 1 << 24  # of a request
PATIENCE = 10.0  # seconds that a request waits for others, or for its own bytes
OPTIONS = ("k", "embedders", "weights", "rerank", "oversample", "approximate", "where")


class Server(ThreadingHTTPServer):
    """A searcher behind a port; no more searches at once than there are cores."""

    daemon_threads = True

    def __init__(self, address, searcher, searches):
        super().__init__(address, Handler)
        self.searcher, self.turns = searcher, BoundedSemaphore(searches)

    def answer(self, request):
        """Return the hits of a request as JSON holds them. Raises QuantizationError, TypeError."""
        query = taken(request.pop("query", None), self.searcher.profile)
        unknown = request.keys() - set(OPTIONS)
        if unknown:
            raise TypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(OPTIONS)}")
        hits = self.searcher.search(query, **request)
        return {"hits": [told(hit) for hit in hits], "rows_read": hits.rows_read}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version, timeout = "HTTP/1.1", PATIENCE

    def do_GET(self):  # named by http.server
        is_known = self.path == "/health"
        self.reply(200 if is_known else 404, {"status": "ok"} if is_known else {"error": "no page"})

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if self.path != "/search":
            self.refuse(404, "search is at /search")
        elif not length.isdecimal():
            self.refuse(411, "Content-Length is missing")
        elif int(length) > MOST_BYTES:
            self.refuse(413, f"a request has at most {MOST_BYTES} bytes")
        else:
            self.reply(*self.found(self.rfile.read(int(length))))

    def found(self, body):
        """Return the status and the answer of a request."""
        if not self.server.turns.acquire(timeout=PATIENCE):
            return 503, {"error": "too many searches at once; ask again, or add a machine"}
        try:
            request = json.loads(body)
            if not isinstance(request, dict):
                raise TypeError('expected an object: {"query": {"E8": [...]}, "k": 10}')
            return 200, self.server.answer(request)
        except (QuantizationError, TypeError, ValueError) as error:
            return 400, {"error": str(error)}
        finally:
            self.server.turns.release()

    def refuse(self, status, why):
        """Answer a request that was not read, after which the connection is of no use."""
        self.close_connection = True
        self.reply(status, {"error": why})

    def reply(self, status, answer):
        """Send an answer as JSON."""
        content = json.dumps(answer, default=str).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Print no line per request."""


def taken(query, profile):
    """Return the Fingerprint of a request's query."""
    if not isinstance(query, dict):
        raise TypeError('expected "query": {"E8": [...]}')
    named = {profile.embedder(name): given for name, given in query.items()}
    return Fingerprint({one: value(given, profile[one]) for one, given in named.items()})


def value(given, row):
    """Return an embedding: a vector, a token matrix or a sparse vector."""
    if isinstance(given, dict):
        if given.keys() != {"indices", "weights"}:
            raise TypeError(f"a sparse vector has indices and weights, not {', '.join(given)}")
        return SparseVector(given["indices"], given["weights"], row.dimension)
    return np.asarray(given, np.float32)


def told(hit):
    """Return a hit as JSON holds it."""
    scores = {one.short: score for one, score in sorted(hit.scores.items())}
    return {"id": hit.id, "similarity": hit.similarity, "scores": scores}


def warm(searcher, names):
    """Load the columns of some embedders, so that the first request need not."""
    for one in map(searcher.profile.embedder, names):
        dimension = searcher.profile[one].dimension
        searcher.search(Fingerprint({one: np.ones(dimension, np.float32)}), 1)


def serve(args):
    """Answer until SIGINT or SIGTERM comes."""
    with open_searcher(args.folder) as searcher:
        warm(searcher, filter(None, args.warm.split(",")))
        with Server((args.host, args.port), searcher, args.searches) as server:
            host, port = server.server_address[:2]
            print(f"{searcher!r} at http://{host}:{port}", file=sys.stderr, flush=True)

            def stop(*_):
                Thread(target=server.shutdown).start()

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, stop)
            server.serve_forever()


def main(arguments=None):
    """Serve a folder; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="a store, or a folder of shards")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one")
    parser.add_argument("--warm", default="", metavar="E1,...", help="dense columns to load first")
    parser.add_argument("--searches", type=int, default=os.cpu_count(), help="at the same time")
    try:
        serve(parser.parse_args(arguments))
    except QuantizationError as error:
        print(f"serving: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
