"""Workers find what one process finds, also where one of them is killed."""

import numpy as np
import pytest
from cluster import worker_tasks as tasks

from cgcython import Profile, ShardWriter, open_corpus
from cgcython.cli import main
from cgcython.search.groups import search_groups
from cgcython.search.groups.group import ShardGroup
from cgcython.search.shards import ShardSearcher

pytestmark = pytest.mark.cluster
PROFILE = Profile.from_toml(
    """
    E8 = { dimension = 24, method = "float8_e4m3" }
    E9 = { dimension = 64, method = "binary" }
    """
)
RNG = np.random.default_rng(2)
QUERIES = {"E8": RNG.standard_normal((9, 24)), "E9": RNG.standard_normal((9, 64))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(1)
    arrays = {"E8": rng.standard_normal((600, 24)), "E9": rng.standard_normal((600, 64))}
    folder = tmp_path_factory.mktemp("search") / "shards"
    ShardWriter(folder, profile=PROFILE, shard_size=60).write_all(open_corpus(arrays, PROFILE))
    return folder


@pytest.mark.parametrize(
    "how", [{"embedders": "E8"}, {}, {"embedders": "E9", "rerank": "E8"}], ids=str
)
def test_workers_find_what_one_process_finds(folder, runner, how):
    found = search_groups(folder, QUERIES, num_groups=4, runner=runner, **how)
    expected = ShardSearcher(folder).search_many(QUERIES, **how)
    assert found.hits == expected.hits
    np.testing.assert_array_equal(found.ids, expected.ids)


def test_a_worker_that_is_killed_costs_its_task(folder, processes, tmp_path, monkeypatch):
    monkeypatch.setattr(ShardGroup, "nearest", tasks.DeadlyNearest(tmp_path / "died"))
    found = search_groups(folder, QUERIES, embedders="E8", num_groups=4, runner=processes)
    assert (tmp_path / "died").exists()
    assert found.hits == ShardSearcher(folder).search_many(QUERIES, embedders="E8").hits


def test_a_group_goes_to_the_worker_that_had_it(processes):
    for _ in range(2):
        found = processes.run(tasks.home_and_process, [tasks.AtHome(n) for n in range(8)])
        homes = {(item.home % 2, process) for item, process in found}
        assert len(homes) == 2


def test_the_command_finds_the_same_on_workers(folder, address, tmp_path, capsys):
    np.savez(tmp_path / "queries.npz", **QUERIES)
    words = ["search", str(tmp_path / "queries.npz"), "--store", str(folder), "--json"]
    assert main(words) == 0
    expected = capsys.readouterr().out
    assert main([*words, "--scheduler", address, "--groups", "3"]) == 0
    assert capsys.readouterr().out == expected
