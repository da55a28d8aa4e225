"""Inputs come over HTTP from servers that send ranges, and are refused from those that do not."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from cgcython import Profile, open_corpus
from cgcython.errors import FileUnavailable

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")
pytestmark = pytest.mark.cluster
PROFILE = Profile.from_toml('E9 = { dimension = 20, method = "binary" }')
VALUES = np.arange(100_000, dtype=np.float32).reshape(-1, 20)


class Handler(BaseHTTPRequestHandler):
    """Sends the content of its server, by ranges unless it was told not to."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send(b"", len(self.server.content))

    def do_GET(self):
        content = self.server.content
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        self.server.asked.append(self.path)
        if self.server.failures:
            self.server.failures -= 1
            self.close_connection = True
            return None
        if not (found and self.server.has_ranges):
            return self.send(content, len(content))
        first, last = map(int, found.groups())
        part = content[first : last + 1]
        return self.send(part, len(part), self.server.status)

    def send(self, data, length, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", self.server.etag)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """Return a server on this machine that has VALUES as .npy."""
    np.save(tmp_path / "x.npy", VALUES)
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.content, found.etag = (tmp_path / "x.npy").read_bytes(), '"1"'
    found.has_ranges, found.asked, found.failures = True, [], 0
    found.status = 206
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


def place(server):
    return f"E9=http://127.0.0.1:{server.server_port}/x.npy?signature=secret"


def test_rows_come_by_ranges_from_a_signed_url(server):
    with open_corpus(place(server), PROFILE) as corpus:
        np.testing.assert_array_equal(corpus["E9"].embeddings.batch(7, 9), VALUES[7:9])
        assert corpus.stamps() == [["x.npy", len(server.content), '"1"']]
    assert set(server.asked) == {"/x.npy?signature=secret"}


def test_another_version_is_told_by_its_etag(server):
    with open_corpus(place(server), PROFILE) as corpus:
        server.etag = '"2"'
        with pytest.raises(FileUnavailable, match="it changed while it was read") as caught:
            corpus["E9"].embeddings.batch(7, 9)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("failures", [1, 99])
def test_a_line_that_breaks_is_tried_again(server, failures, monkeypatch):
    monkeypatch.setattr("cgcython.corpus.remote.objects.PAUSE", 0)
    with open_corpus(place(server), PROFILE) as corpus:
        server.failures = failures
        if failures == 1:
            np.testing.assert_array_equal(corpus["E9"].embeddings.batch(7, 9), VALUES[7:9])
        else:
            with pytest.raises(FileUnavailable, match="isconnected"):
                corpus["E9"].embeddings.batch(7, 9)


def test_a_server_that_cannot_be_reached_is_told_from_a_missing_object():
    with pytest.raises(FileUnavailable, match="Cannot connect to host"):
        open_corpus("E9=http://127.0.0.1:9/x.npy", PROFILE)


def test_what_is_forbidden_is_asked_for_once(server):
    with open_corpus(place(server), PROFILE) as corpus:
        server.status, server.asked[:] = 403, []
        with pytest.raises(FileUnavailable, match="403"):
            corpus["E9"].embeddings.batch(7, 9)
    assert len(server.asked) == 1


def test_a_server_without_ranges_is_refused_with_a_remedy(server):
    server.has_ranges = False
    with pytest.raises(FileUnavailable, match="download it, and pass a path"):
        open_corpus(place(server), PROFILE)
    assert len(server.asked) == 1
