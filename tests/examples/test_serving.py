"""The example of a server: it starts, answers threads, refuses with a reason, and stops."""

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
import pytest

from cgcython import ShardWriter, SparseVector, open_corpus
from cgcython.search.shards import ShardSearcher

SCRIPT = Path(__file__).parents[2] / "examples/serving.py"
ROWS = np.random.default_rng(0).standard_normal((60, 384), np.float32)
INDPTR = np.arange(0, 121, 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "shards"
    arrays = {"E8": ROWS, "E6.indptr": INDPTR, "E6.indices": np.arange(120).astype(np.uint32)}
    arrays["E6.weights"] = np.ones(120, np.float32)
    with ShardWriter(folder, shard_size=25) as writer:
        writer.write_all(open_corpus([arrays]))
    return folder


@pytest.fixture(scope="module")
def server(folder):
    """Yield a process that serves, and its port."""
    command = [sys.executable, SCRIPT, folder, "--port", "0", "--warm", "E8"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)$", line)
        assert found, line
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def asked(server, body, path="/search", method="POST", **headers):
    connection = HTTPConnection("127.0.0.1", server[1], timeout=30)
    try:
        content = body if isinstance(body, str) else json.dumps(body)
        connection.request(method, path, content, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def test_it_is_alive(server):
    assert asked(server, "", "/health", "GET") == (200, {"status": "ok"})
    assert asked(server, "", "/other", "GET")[0] == 404


def test_threads_get_what_a_search_returns(server, folder):
    def ids(row):
        status, answer = asked(server, {"query": {"E8": ROWS[row].tolist()}, "k": 3})
        return status, [(hit["id"], hit["similarity"]) for hit in answer["hits"]]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ids, range(60)))
    with ShardSearcher(folder) as searcher:
        expected = [searcher.search({"E8": row}, 3) for row in ROWS]
    assert found == [(200, [(hit.id, hit.similarity) for hit in hits]) for hits in expected]


def test_it_takes_sparse_vectors_and_options(server, folder):
    sparse = {"indices": [4, 5], "weights": [1.0, 1.0]}
    request = {"query": {"E6": sparse, "E8": ROWS[2].tolist()}, "embedders": ["E6"], "rerank": "E8"}
    status, answer = asked(server, request)
    vector = SparseVector([4, 5], [1.0, 1.0], 30522)
    with ShardSearcher(folder) as searcher:
        expected = searcher.search({"E6": vector, "E8": ROWS[2]}, embedders=["E6"], rerank="E8")
    assert (status, [hit["id"] for hit in answer["hits"]]) == (200, [hit.id for hit in expected])


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("{", 400, "Expecting"),
        ([1], 400, "expected an object"),
        ({"k": 3}, 400, 'expected "query"'),
        ({"query": {"E8": [1.0]}}, 400, "384"),
        ({"query": {"E8": "text"}}, 400, "text"),
        ({"query": {"E99": [1.0]}}, 400, "E99"),
        ({"query": {"E6": {"indices": [1]}}}, 400, "weights"),
        ({"query": {"E8": ROWS[0].tolist()}, "size": 3}, 400, "unknown: size; known: k, "),
        ({"query": {"E8": ROWS[0].tolist()}, "k": -1}, 400, "k: expected"),
    ],
    ids=range(9),
)
def test_what_makes_no_sense_is_refused_with_the_reason(server, body, status, told):
    found, answer = asked(server, body)
    assert (found, told in answer["error"]) == (status, True), answer


def test_what_is_too_long_is_not_read(server):
    status, answer = asked(server, "", **{"Content-Length": str(1 << 40)})
    assert (status, answer) == (413, {"error": "a request has at most 16777216 bytes"})


def test_it_stops_when_it_is_asked_to(server):
    process, _ = server
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_folder_of_nothing_is_refused(tmp_path):
    command = [sys.executable, SCRIPT, tmp_path / "none", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("serving: [EMB-")
