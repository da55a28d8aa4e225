"""A spec says which file, which arrays and which rows, whatever the path looks like."""

from pathlib import Path

import pytest

from cgcython.corpus.specs import Spec, split_file
from cgcython.errors import UsageError

PARTS = {
    "docs.npy": ("docs.npy", (), None),
    "bm25.npz:indptr,indices,weights": ("bm25.npz", ("indptr", "indices", "weights"), None),
    "tokens.npz:values,offsets@index": ("tokens.npz", ("values", "offsets"), "index"),
    "tokens.npz@index": ("tokens.npz", (), "index"),
    "me@host/tokens.npz": ("me@host/tokens.npz", (), None),
    "me@host/c:d/x.npz:emb@rows": ("me@host/c:d/x.npz", ("emb",), "rows"),
    "old.npz/x.safetensors": ("old.npz/x.safetensors", (), None),
    "table.csv": ("table.csv", (), None),
}


@pytest.mark.parametrize("text", PARTS)
def test_paths_may_hold_the_signs_that_separate_parts(text):
    path, arrays, rows = PARTS[text]
    assert split_file(text) == (Path(path), arrays, rows)


def test_where_two_paths_are_possible_the_file_that_exists_is_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "x.npz:y.npz"
    assert split_file(text) == (Path("x.npz"), ("y.npz",), None)
    Path(text).touch()
    assert split_file(text) == (Path(text), (), None)


@pytest.mark.parametrize("text", ["E14=x.npy", "E1=x.csv", "x.txt", "=x.npy", "E1="])
def test_bad_specs_are_usage_errors(text):
    with pytest.raises(UsageError):
        Spec.parse(text)
