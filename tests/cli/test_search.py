"""`search`: hits as a table or as JSON lines."""

import json

import numpy as np
import pytest

from cgcython.cli.inputs import row_id


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
