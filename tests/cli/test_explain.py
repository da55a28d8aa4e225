"""`search --explain`: which query token met which document token, by its place in the text."""

import json
import sys
import uuid

import numpy as np
import pytest

from cgcython import TokenArray, token_alignments
from cgcython.cli.explain import read_names
from cgcython.cli.heat_map import shade
from cgcython.corpus.memory_ids import row_id, row_uuid
from cgcython.store.ids import as_key


@pytest.fixture(scope="module")
def asked(work):
    """Return the file of two queries: tokens of memories 4 and 6, and some noise."""
    rng = np.random.default_rng(8)
    with np.load(work / "corpus.npz") as corpus:
        texts = TokenArray(corpus["E12.values"], corpus["E12.offsets"])
    queries = [texts[row] + 0.01 * rng.standard_normal(texts[row].shape) for row in (2, 3)]
    offsets = np.cumsum([0, *map(len, queries)])
    path = work / "asked.npz"
    np.savez(path, **{"E12.values": np.concatenate(queries), "E12.offsets": offsets})
    return path


@pytest.fixture(params=["store", "shards"])
def search(request, cli, work, asked):
    return lambda *words: cli("search", asked, "--store", work / request.param, *words)


def hits(result):
    return [json.loads(line)["hits"] for line in result.out.splitlines()]


def corpus(work):
    with np.load(work / "corpus.npz") as arrays:
        return TokenArray(arrays["E12.values"], arrays["E12.offsets"])


def test_matches_name_tokens_of_the_original_text(search, work, asked):
    found = hits(search("-k", 1, "--explain", "--json"))
    with np.load(asked) as arrays:
        queries = TokenArray(arrays["E12.values"], arrays["E12.offsets"])
    for (hit,), row, query in zip(found, (2, 3), queries):
        assert hit["id"] == 2 * row
        assert len(hit["tokens"]) == len(query)
        text = corpus(work)[row]
        for i, position, similarity in hit["tokens"]:
            cosine = query[i] @ text[position]
            cosine /= np.linalg.norm(query[i]) * np.linalg.norm(text[position])
            assert similarity == pytest.approx(cosine, abs=0.03)  # E4M3 keeps three bits


def test_kept_tokens_meet_themselves(search, work):
    (hit,) = hits(search("-k", 1, "--explain", "--json"))[0]
    own = [one.doc_token_idx for one in token_alignments(corpus(work)[2], corpus(work)[2])]
    kept = {position for _, position, _ in hit["tokens"]}
    assert len(kept) == len(own)
    for i, position, similarity in hit["tokens"]:
        assert (i == position) == (similarity > 0.99)


def test_the_heat_map_has_a_line_per_query_token(search, work):
    lines = search("-k", 2, "--explain", "--explain-hits", 1).out.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("query 0, hit 1: "))
    assert "query 0, hit 1: 4, MaxSim" in lines[start]
    assert lines[start + 1].endswith(" tokens kept")
    count = len(corpus(work)[2])
    rows = lines[start + 3 : start + 3 + count]
    assert [int(line.split()[0]) for line in rows] == list(range(count))
    assert any("█" in line for line in rows)
    assert sum(line.startswith("query ") and "hit" in line for line in lines) == 2


def test_tokens_are_named(search, work, tmp_path):
    count = len(corpus(work)[2])
    (tmp_path / "asked.txt").write_text(" ".join(f"q{i}" for i in range(count)))
    key = 4
    (tmp_path / "texts.txt").write_text(f"{key}\t" + " ".join(f"d{i}" for i in range(count)))
    names = "--query-tokens", tmp_path / "asked.txt", "--document-tokens", tmp_path / "texts.txt"
    out = search("-k", 1, "--explain", *names).out
    assert all(f" q{i} " in out for i in range(count))
    assert any(f" {i} d{i}\n" in out for i in range(count))
    (tmp_path / "texts.txt").write_text(f"{key}\td0")
    assert search("-k", 1, "--explain", *names).code == (0 if count == 1 else 3)


def test_lines_without_an_id_are_numbered(tmp_path):
    (tmp_path / "names.txt").write_text("a b\n\nc\td\n")
    found, tokens = read_names(tmp_path / "names.txt"), [["a", "b"], [], ["c", "d"]]
    assert [found[row_id(row)] for row in range(3)] == tokens
    assert [found[row_uuid(row)] for row in range(3)] == tokens  # as earlier releases named rows


def test_lines_may_begin_with_any_id(tmp_path):
    one = uuid.UUID(int=7)
    (tmp_path / "names.txt").write_text(f"doc-1\ta b\n5\tc\n{one}\td\ntext:5\te\n")
    found = read_names(tmp_path / "names.txt")
    named = {"doc-1": ["a", "b"], 5: ["c"], one: ["d"], "5": ["e"]}
    assert {name: found[as_key(name)] for name in named} == named


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_hits_are_drawn(cli, work, asked, tmp_path, suffix):
    path = tmp_path / f"hits.{suffix}"
    result = cli("search", asked, "--store", work / "store", "-k", 1, "--explain-plot", path)
    assert result.code == 0
    assert path.read_bytes().lstrip().startswith({"png": b"\x89PNG", "svg": b"<?xml"}[suffix])
    assert "tokens kept" not in result.out


def test_a_missing_extra_is_named(cli, work, asked, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    plot = "--explain-plot", tmp_path / "hits.png"
    result = cli("search", asked, "--store", work / "store", *plot)
    assert result.code == 2
    assert "cgcython[plot]" in result.err


@pytest.mark.parametrize("words", [["--explain-hits", "0"], ["--explain-plot", "hits.gif"]])
def test_useless_arguments_are_usage_errors(search, words):
    assert search("--explain", *words).code == 2


def test_queries_without_tokens_cannot_be_explained(cli, work):
    result = cli("search", work / "queries.npz", "--store", work / "store", "--explain")
    assert result.code == 2
    assert "tokens, which the queries have none of" in result.err


def test_shades_are_fifths_of_the_cosine():
    assert [shade(cosine) for cosine in (-1, 0.19, 0.2, 0.4, 0.6, 0.8, 1)] == list("  ░▒▓██")


def test_real_tokens_are_explained(cli, data, tmp_path):
    tokens = data / "tokens_cranfield.npz"
    with np.load(tokens) as arrays:
        end = arrays["doc_off"][20]
        np.savez(
            tmp_path / "some.npz",
            **{"E12.values": arrays["doc_tok"][:end], "E12.offsets": arrays["doc_off"][:21]},
        )
    stored = "--store", tmp_path / "store"
    assert cli("encode", tmp_path / "some.npz", *stored, "--budget", 10**6).code == 0
    result = cli("search", tmp_path / "some.npz", *stored, "-k", 1, "--explain", "--json")
    for line in result.out.splitlines():
        (hit,) = json.loads(line)["hits"]
        same = [i == position for i, position, similarity in hit["tokens"] if similarity > 0.98]
        assert sum(same) > 0.9 * len(hit["tokens"])
