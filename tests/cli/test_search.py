"""`search`: hits as a table or as JSON lines."""

import json
from uuid import UUID

import numpy as np
import pytest

from cgcython import FingerprintStore


@pytest.fixture
def search(cli, work):
    return lambda *words: cli("search", *words, "--store", work / "store")


def hits(result):
    return [json.loads(line)["hits"] for line in result.out.splitlines()]


def test_stored_memories_find_themselves_first(search, work):
    found = hits(search(work / "corpus.npz", "-k", 1, "--json"))
    assert [one[0]["id"] for one in found] == [*range(40)]
    assert all(one[0]["similarity"] > 0.99 for one in found)


def test_k_and_embedders_limit_the_hits(search, work):
    found = hits(search(work / "queries.npz", "-k", 3, "--embedders", "E8", "--json"))
    assert [len(one) for one in found] == [3] * 6
    assert all(list(hit["scores"]) == ["E8"] for one in found for hit in one)


def test_a_heavy_weight_decides(search, work):
    words = work / "queries.npz", "-k", 10, "--json"
    alone = hits(search(*words, "--embedders", "E8"))
    heavy = hits(search(*words, "--weights", "E8=1000,E1=0.001"))
    assert [one[0]["id"] for one in alone] == [one[0]["id"] for one in heavy]


def test_the_table_has_a_line_per_hit(search, work):
    lines = search(work / "queries.npz", "-k", 2).out.splitlines()
    assert lines[0].split() == ["query", "rank", "id", "similarity", "E1", "E8"]
    assert len(lines) == 1 + 6 * 2


def test_queries_of_another_dimension_are_bad_data(search, tmp_path):
    np.save(tmp_path / "q.npy", np.ones((2, 7), np.float32))
    assert search(f"E8={tmp_path}/q.npy").code == 3


@pytest.mark.parametrize(
    "words", [["-k", "0"], ["--weights", "E1=-1"], ["--weights", "E1"], ["--embedders", "E6"]]
)
def test_useless_arguments_are_usage_errors(search, work, words):
    assert search(work / "queries.npz", *words).code == 2


def test_a_missing_store_is_a_store_error(cli, work, tmp_path):
    assert cli("search", work / "queries.npz", "--store", tmp_path / "none").code == 5
    assert not (tmp_path / "none").exists()


def test_a_filter_leaves_only_the_ids_of_a_file(search, work, tmp_path):
    ids = [3, 9, 20]
    (tmp_path / "ids.txt").write_text("\n".join(map(str, ids)) + "\n\n")
    np.save(tmp_path / "ids.npy", ids)
    for name in ("ids.txt", "ids.npy"):
        found = hits(search(work / "queries.npz", "--among", tmp_path / name, "--json"))
        assert all({hit["id"] for hit in one} == set(ids) for one in found)
    marked = (tmp_path / "ids.txt").read_text()
    (tmp_path / "ids.txt").write_text(marked, encoding="utf-8-sig")
    assert search(work / "queries.npz", "--among", tmp_path / "ids.txt").code == 0
    (tmp_path / "ids.txt").write_text("3\n" + "x" * 600)
    result = search(work / "queries.npz", "--among", tmp_path / "ids.txt")
    assert (result.code, "expected a UUID" in result.err) == (3, True)


@pytest.mark.parametrize("kind", ["u1", "U36"])
def test_a_filter_may_be_uuids_and_text(cli, work, tmp_path, kind):
    ids = (
        [UUID(int=i << 64) for i in range(1, 41)]
        if kind == "u1"
        else [f"doc {i}" for i in range(40)]
    )
    given = [str(one) for one in ids]
    if kind == "u1":
        given = np.frombuffer(b"".join(one.bytes for one in ids), "u1").reshape(-1, 16)
    np.save(tmp_path / "ids.npy", given)
    np.save(tmp_path / "some.npy", given[3:5])
    (tmp_path / "some.txt").write_text("\n".join(map(str, ids[3:5])))
    spec = work / "corpus.npz", f"ids={tmp_path / 'ids.npy'}", "--models", work / "models"
    assert (
        cli("encode", *spec, "--store", tmp_path / "s", "--profile", work / "profile.toml").code
        == 0
    )
    for name in ("some.npy", "some.txt"):
        words = (
            work / "queries.npz",
            "--store",
            tmp_path / "s",
            "--among",
            tmp_path / name,
            "--json",
        )
        found = hits(cli("search", *words))
        assert all({hit["id"] for hit in one} == {*map(str, ids[3:5])} for one in found)


def test_a_filter_that_is_no_file_of_ids_is_refused(search, work, tmp_path):
    np.save(tmp_path / "text.npy", np.array([1.5]))
    (tmp_path / "empty.npy").touch()
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    for name in ("text.npy", "empty.npy", "bytes.txt", "nothing.txt"):
        assert search(work / "queries.npz", "--among", tmp_path / name).code == 3
    missing = search(work / "queries.npz", "--among", tmp_path / "nothing.txt").err
    assert missing.endswith("nothing.txt: no such file; expected an id per line\n")


def test_another_embedder_orders_the_shortlist(search, work):
    words = work / "queries.npz", "-k", 3, "--json"
    found = hits(search(*words, "--embedders", "E1", "--rerank", "E8", "--oversample", 20))
    exact = hits(search(*words, "--embedders", "E8"))
    assert [[hit["id"] for hit in one] for one in found] == [
        [hit["id"] for hit in one] for one in exact
    ]
    assert search(work / "queries.npz", "--embedders", "E8", "--rerank", "E8").code == 3
    assert search(work / "queries.npz", "--rerank", "E6").code == 2


def test_an_index_speaks_for_the_columns_and_graphs_it_writes(cli, search, work):
    result = cli("index", work / "store", "--graphs", "--json")
    files = json.loads(result.out)["files"]
    assert set(files) == {
        f"{one}{rest}.safetensors" for one in ("E1", "E8") for rest in ("", "-graph")
    }
    words = work / "corpus.npz", "-k", 1, "--json"
    exact = hits(search(*words))
    for way in ("--approximate", "--graph"):
        assert hits(search(way, *words)) == exact
    assert hits(search("--candidates", 40, *words)) == exact
    assert search(*words, "--candidates", 0).code == 2
    settings = "--connectivity", 8, "--expansion-add", 70, "--expansion-search", 20
    assert cli("index", work / "store", "--embedders", "E8", *settings).code == 0
    with FingerprintStore.open(work / "store") as store:
        made = store._columns.graph(store.profile.embedder("E8"))[1].settings
    assert made == (8, 70, 20)
    assert cli("index", work / "store", "--connectivity", 3).code == 3
    assert cli("index", work / "store", "--embedders", "E7").code == 2
    assert cli("index", work / "none").code == 5


def test_hits_are_filtered_by_their_metadata_and_show_it(cli, tmp_path):
    vectors = np.random.default_rng(2).standard_normal((6, 384)).astype(np.float32)
    with FingerprintStore.open(tmp_path / "store") as store:
        for number, vector in enumerate(vectors):
            metadata = {"number": number, "lang": "en" if number % 2 else "de"}
            store.store(UUID(int=number), {"E8": vector}, metadata=metadata)
    np.save(tmp_path / "q.npy", vectors[:1])
    words = "search", f"E8={tmp_path}/q.npy", "--store", tmp_path / "store", "--metadata"
    found = cli(*words, "--where", '{"lang": "en"}', "--json").json["hits"]
    assert sorted(hit["metadata"]["number"] for hit in found) == [1, 3, 5]
    assert '{"number": 0, "lang": "de"}' in cli(*words).out
