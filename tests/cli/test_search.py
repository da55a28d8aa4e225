"""`search`: hits as a table or as JSON lines."""

import json
from uuid import UUID

import numpy as np
import pytest

from cgcython import FingerprintStore
from cgcython.corpus.corpus import row_id


@pytest.fixture
def search(cli, work):
    return lambda *words: cli("search", *words, "--store", work / "store")


def hits(result):
    return [json.loads(line)["hits"] for line in result.out.splitlines()]


def test_stored_memories_find_themselves_first(search, work):
    found = hits(search(work / "corpus.npz", "-k", 1, "--json"))
    assert [one[0]["id"].replace("-", "") for one in found] == [row_id(i).hex() for i in range(40)]
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
    ids = [UUID(bytes=row_id(i)) for i in (3, 9, 20)]
    (tmp_path / "ids.txt").write_text("\n".join(map(str, ids)) + "\n\n")
    np.save(
        tmp_path / "ids.npy", np.frombuffer(b"".join(one.bytes for one in ids), "u1").reshape(3, 16)
    )
    for name in ("ids.txt", "ids.npy"):
        found = hits(search(work / "queries.npz", "--among", tmp_path / name, "--json"))
        assert all({hit["id"] for hit in one} == {str(one) for one in ids} for one in found)
    marked = (tmp_path / "ids.txt").read_text()
    (tmp_path / "ids.txt").write_text(marked, encoding="utf-8-sig")
    assert search(work / "queries.npz", "--among", tmp_path / "ids.txt").code == 0
    (tmp_path / "ids.txt").write_text("no id\n")
    result = search(work / "queries.npz", "--among", tmp_path / "ids.txt")
    assert (result.code, "expected a UUID" in result.err) == (3, True)


def test_a_filter_that_is_no_file_of_ids_is_refused(search, work, tmp_path):
    np.save(tmp_path / "text.npy", np.array(["a"]))
    (tmp_path / "empty.npy").touch()
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe")
    for name in ("text.npy", "empty.npy", "bytes.txt", "nothing.txt"):
        assert search(work / "queries.npz", "--among", tmp_path / name).code == 3


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
    assert hits(search("--approximate", *words)) == exact
    assert hits(search("--candidates", 40, *words)) == exact
    assert search(*words, "--candidates", 0).code == 2
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
