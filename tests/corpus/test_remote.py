"""URLs are told from paths, shown without secrets, and need fsspec only when one is opened."""

import subprocess
import sys

import numpy as np
import pytest

from cgcython import open_corpus
from cgcython.cli import main
from cgcython.corpus.remote.urls import Url, input_place, is_url, without_secrets
from cgcython.corpus.specs import Spec, split_file
from cgcython.errors import UsageError

SECRET = "https://me:secret@host:80/a/docs.npz?sig=se%2Fcret&X=5"
PARTS = {
    "s3://bucket/docs.npy": ("s3://bucket/docs.npy", (), None),
    "s3://bucket/t.npz:values,offsets@rows": ("s3://bucket/t.npz", ("values", "offsets"), "rows"),
    f"{SECRET}:E1@rows": (SECRET, ("E1",), "rows"),
    "https://me:x@host/a.parquet:vector": ("https://me:x@host/a.parquet", ("vector",), None),
    f"https://host/a.npy?s={'5' * 900}": (f"https://host/a.npy?s={'5' * 900}", (), None),
    "zip://x.npy::s3://b/a.zip": ("zip://x.npy::s3://b/a.zip", (), None),
    "simplecache::s3://b/x.npy": ("simplecache::s3://b/x.npy", (), None),
}


@pytest.mark.parametrize("text", PARTS)
def test_urls_end_with_a_suffix_or_a_query(text):
    url, arrays, rows = PARTS[text]
    assert split_file(text) == (Url(url), arrays, rows)
    assert Spec.parse(f"E1={text}").path == Url(url)


def test_a_url_alone_is_a_file_although_its_signature_has_an_equals_sign():
    assert Spec.parse(SECRET) == Spec(None, Url(SECRET))


def test_urls_are_shown_without_secrets():
    url = Url(SECRET)
    shown = "https://host:80/a/docs.npz"
    assert (str(url), repr(url), url.name) == (shown, f"Url('{shown}')", "docs.npz")
    assert url.hidden_in(f"403, url='{SECRET}', sig=se/cret") == f"403, url='{shown}', sig=..."
    assert without_secrets(f"ids={SECRET}:ids twice") == f"ids={shown}:ids twice"
    assert "secret" not in f"{url}{url!r}"


def test_paths_are_no_urls(tmp_path):
    assert not any(map(is_url, ["a:b/docs.npy", "E1=s3://b/x.npy", "me@host/x.npy", tmp_path]))
    assert input_place("a//b.npy").parts == ("a", "b.npy")


def test_file_urls_are_paths(tmp_path):
    np.save(tmp_path / "my docs.npy", np.zeros((2, 384), np.float32))
    place = (tmp_path / "my docs.npy").as_uri()
    corpus = open_corpus(f"E8={place}")
    assert isinstance(corpus["E8"].embeddings.values, np.memmap)


def test_without_fsspec_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"pip install 'cgcython\[remote\]'"):
        open_corpus("E8=memory://docs.npy")
    words = ["eval", f"E8={SECRET.replace('npz', 'npy')}", "--queries", f"E8={SECRET}"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "https://host:80/a/docs.npy" in told
    assert "secret" not in told


def test_files_are_opened_without_fsspec(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 384), np.float32))
    code = f"import sys, cgcython; cgcython.open_corpus('E8={tmp_path / 'x.npy'}')"
    code += "\nprint(sorted({'fsspec', 'aiohttp', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
