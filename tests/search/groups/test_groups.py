"""Groups of shards find what one searcher of the folder finds, bit for bit."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgcython import Profile, ShardWriter, open_corpus
from cgcython.errors import InvalidInput, StorageCorruption
from cgcython.search.groups import GroupSearcher, group, search_groups, searching, tops
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.shards import ShardSearcher

EMBEDDERS = ["E1", "E2", "E6", "E9", "E12"]


def assert_same(found, expected):
    """Two results have the same bits."""
    assert found.hits == expected.hits
    np.testing.assert_array_equal(found.ids, expected.ids)
    for name in ("scores", "similarities", "rows_read"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.embedder_scores.keys() == expected.embedder_scores.keys()
    for one, scores in found.embedder_scores.items():
        np.testing.assert_array_equal(scores, expected.embedder_scores[one])


@st.composite
def searches(draw):
    """Return the arguments of a search."""
    embedders = draw(st.lists(st.sampled_from(EMBEDDERS), min_size=1, max_size=4, unique=True))
    rest = [one for one in EMBEDDERS if one not in embedders]
    how = {"embedders": embedders, "k": draw(st.sampled_from([1, 1, 2, 7]))}
    if draw(st.booleans()):
        how["weights"] = {one: draw(st.sampled_from([0.01, 0.5, 1, 3])) for one in embedders}
    if rest and draw(st.booleans()):
        how |= {"rerank": draw(st.sampled_from(rest)), "oversample": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        how["metric"] = draw(st.sampled_from(["cosine", "dot"]))
    return how


@settings(max_examples=10)
@given(
    seed=st.integers(0, 1 << 20),
    count=st.sampled_from([1, 20, 150, 400]),
    share=st.sampled_from([0.01, 0.3, 1.0]),
    kinds=st.sampled_from([None, 1, 6]),
    shard_size=st.sampled_from([10, 80, 200]),
    groups=st.integers(1, 4),
    how=searches(),
    filtered=st.booleans(),
)
def test_any_grouping_finds_what_one_searcher_finds(
    cases, seed, count, share, kinds, shard_size, groups, how, filtered
):
    arrays, queries = cases.arrays_of(seed, count, share, kinds), cases.queries_of(seed)
    if filtered:
        how = {**how, "among": arrays["ids"][::2]}
    with tempfile.TemporaryDirectory() as path, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tops, "KNOWN_LEAST", 1)
        patch.setattr(tops, "KNOWN_TIMES", 1)
        folder = cases.write(Path(path) / "shards", arrays, shard_size)
        with ShardSearcher(folder) as whole:
            expected = whole.search_many(queries, **how)
        runner = cases.shuffled(seed)
        assert_same(
            search_groups(folder, queries, num_groups=groups, runner=runner, **how), expected
        )


@pytest.fixture(scope="module")
def folder(cases, tmp_path_factory):
    """Return a folder of ten shards."""
    return cases.write(tmp_path_factory.mktemp("groups") / "shards", cases.arrays_of(5, 150), 15)


@pytest.fixture
def queries(cases):
    return cases.queries_of(8, 7)


def test_queries_are_asked_in_batches_that_fit(folder, queries, monkeypatch):
    expected = search_groups(folder, queries, num_groups=3)
    monkeypatch.setattr(searching, "BATCH_BYTES", 1)
    assert_same(search_groups(folder, queries, num_groups=3), expected)


@pytest.fixture
def few_known(monkeypatch):
    """Let groups tell as few scores as decide, and note which passes there are."""
    asked = []
    monkeypatch.setattr(tops, "KNOWN_LEAST", 1)
    monkeypatch.setattr(tops, "KNOWN_TIMES", 1)
    for name in ("tops", "ties", "counts"):
        method = getattr(group.ShardGroup, name)
        monkeypatch.setattr(group.ShardGroup, name, noting(asked, name, method))
    return asked


def noting(asked, name, method):
    def noted(*args):
        asked.append(name)
        return method(*args)

    return noted


def search_both(cases, path, arrays, queries, **how):
    """Return what groups find, and what one searcher does."""
    folder = cases.write(path / "shards", arrays, 100)
    with ShardSearcher(folder) as whole:
        return search_groups(folder, queries, num_groups=3, **how), whole.search_many(
            queries, **how
        )


def test_ranks_that_no_group_told_are_counted(cases, tmp_path, few_known):
    arrays, queries = cases.arrays_of(0, 500), cases.queries_of(0)
    weights = {"E1": 1, "E2": 0.3, "E9": 0.3}
    how = {"k": 4, "weights": weights, "embedders": [*weights]}
    assert_same(*search_both(cases, tmp_path, arrays, queries, **how))
    assert "counts" in few_known


@pytest.mark.parametrize("k", [1, 3])
def test_rows_that_cannot_win_need_not_be_told(cases, tmp_path, few_known, k):
    arrays, queries = cases.arrays_of(0, 500, kinds=2), cases.queries_of(0)
    assert_same(*search_both(cases, tmp_path, arrays, queries, k=k, embedders=["E2", "E9"]))
    assert "ties" in few_known


def test_a_row_that_equals_the_last_may_be_the_best(cases, tmp_path, few_known):
    # All of E9 share the first rank; of them 199 alone has E2, too deep there to be told for it.
    angles = np.r_[0.7, np.linspace(0, 1.4, 200)]
    arrays = {
        "E9": np.ones((200, 16), np.float32),
        "E9.rows": np.arange(200),
        "E2": np.c_[np.cos(angles), np.sin(angles), np.zeros((201, 6))],
        "E2.rows": np.arange(199, 400),
    }
    queries = {"E9": np.ones((1, 16)), "E2": np.eye(1, 8)}
    folder = cases.write(tmp_path / "shards", arrays, 390)
    found = search_groups(folder, queries, 1, num_groups=2)
    assert few_known[:3] == ["tops", "tops", "ties"]
    assert found.ids.tolist() == [[199]]
    assert_same(found, ShardSearcher(folder).search_many(queries, 1))


def test_a_short_embedder_that_weighs_most_does_not_decide_alone(cases, tmp_path, few_known):
    arrays, queries = cases.arrays_of(0, 400, share=0.01), cases.queries_of(0)
    how = {"embedders": ["E9", "E1", "E2"], "weights": {"E9": 1, "E1": 0.1, "E2": 0.1}}
    assert_same(*search_both(cases, tmp_path, arrays, queries, **how))
    assert few_known[:6] == ["tops"] * 6


@pytest.mark.parametrize("embedders", [["E2"], ["E2", "E9"]], ids=len)
def test_guides_find_the_same_in_groups_that_are_too_small_for_any(folder, queries, embedders):
    how = {"embedders": embedders, "k": 5}
    near = search_groups(folder, queries, num_groups=3, approximate=True, **how)
    assert near.hits == ShardSearcher(folder).search_many(queries, **how).hits


def shared_hits(found, exact):
    pairs = zip(found.ids.tolist(), exact.ids.tolist())
    return sum(len(set(own) & set(best)) for own, best in pairs)


@pytest.mark.parametrize("embedders", [["E8"], ["E8", "E9"]], ids=len)
def test_guides_of_groups_find_as_much_as_those_of_the_folder(tmp_path, monkeypatch, embedders):
    monkeypatch.setattr(FirstPass, "least_rows", 100)
    rng, folder = np.random.default_rng(1), tmp_path / "shards"
    dense, bits = rng.standard_normal((2, 3000, 256), dtype=np.float32)
    text = 'E8 = { dimension = 256, method = "float8_e4m3" }\n'
    profile = Profile.from_toml(text + 'E9 = { dimension = 256, method = "binary" }')
    writer = ShardWriter(folder, profile=profile, shard_size=1000)
    writer.write_all(open_corpus({"E8": dense, "E9": bits}, profile))
    queries = {"E8": dense[:9] + bits[9:18], "E9": bits[:9] + dense[9:18]}
    how = {"embedders": embedders, "k": 2}
    with ShardSearcher(folder) as whole:
        exact, near = (whole.search_many(queries, **how, approximate=one) for one in (False, True))
    found = search_groups(folder, queries, num_groups=3, approximate=True, **how)
    reads = [one.rows_read.sum() for one in (near, found, exact)]
    assert reads == sorted(reads)
    assert shared_hits(found, exact) >= shared_hits(near, exact)


def test_no_queries_and_no_embedders_find_nothing(folder, queries):
    assert len(search_groups(folder, {"E2": np.empty((0, 8), np.float32)})) == 0
    assert search_groups(folder, queries, embedders=[]).counts.tolist() == [0] * 7


@pytest.mark.parametrize(
    "how", [{"num_groups": 0}, {"on_damage": "ignore"}, {"k": 0}, {"embedders": "E3"}], ids=str
)
def test_odd_arguments_are_refused(folder, queries, how):
    with pytest.raises(InvalidInput):
        search_groups(folder, queries, **how)


def test_its_repr_tells_where_and_what(folder):
    shown = f"GroupSearcher({str(folder)!r}, shards=10, groups=4)"
    assert repr(GroupSearcher(folder, num_groups=4)) == shown
    assert "groups=10)" in repr(GroupSearcher(folder, num_groups=99))


def test_a_damaged_shard_is_named_or_left_out(cases, folder, queries, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    path = copy / "shard-00004.safetensors"
    path.write_bytes(path.read_bytes()[:-50] + bytes(50))
    with pytest.raises(StorageCorruption, match="shard-00004"):
        search_groups(copy, queries, num_groups=3)
    found = search_groups(copy, queries, 150, num_groups=3, on_damage="skip")
    assert list(found.left_out) == [4]
    assert "shard-00004" in found.left_out[4]
    path.unlink()
    assert_same(found, search_groups(copy, queries, 150, num_groups=3, partial=True))


def test_a_folder_that_changed_is_opened_anew(cases, queries, tmp_path):
    folder = tmp_path / "shards"
    for seed in (1, 2):
        cases.write(folder, cases.arrays_of(seed, 40), 10)
        expected = ShardSearcher(folder).search_many(queries)
        assert_same(search_groups(folder, queries, num_groups=2), expected)
        shutil.rmtree(folder)


def test_a_process_keeps_a_bounded_number_of_groups(folder, queries, monkeypatch):
    monkeypatch.setattr(group, "MOST_OPEN", 2)
    expected = search_groups(folder, queries, num_groups=5)
    assert len(group._OPEN) == 2
    assert_same(search_groups(folder, queries, num_groups=5), expected)


def test_folders_of_earlier_releases_may_have_an_id_once_only(cases, queries, tmp_path):
    arrays = cases.arrays_of(1, 40)
    folder = cases.write(tmp_path / "shards", arrays, 20)
    (folder / "manifest.json").unlink()
    expected = ShardSearcher(folder).search_many(queries)
    assert_same(search_groups(folder, queries, num_groups=2), expected)
    shutil.copy(folder / "shard-00000.safetensors", folder / "shard-00002.safetensors")
    with pytest.raises(InvalidInput, match="20 that a later shard has too"):
        search_groups(folder, queries, num_groups=2)
    expected = ShardSearcher(folder).search_many(queries)
    assert_same(search_groups(folder, queries, num_groups=1), expected)


def test_dominated_rows_are_those_behind_k_others():
    keys = np.array([b"%03d" % n for n in range(40)])
    equal = np.zeros((2, 40), np.float32)
    assert tops.undominated(keys, equal, 3).nonzero()[0].tolist() == [0, 1, 2]
    rising = np.stack([np.arange(40), np.arange(40)]).astype(np.float32)
    assert tops.undominated(keys, rising, 3).nonzero()[0].tolist() == [37, 38, 39]
    crossing = np.stack([np.arange(40), -np.arange(40)]).astype(np.float32)
    assert tops.undominated(keys, crossing, 3).all()


@pytest.mark.parametrize("folder", [None, 5, b"x", []])
def test_what_is_no_folder_is_refused(folder):
    with pytest.raises(InvalidInput, match="folder"):
        GroupSearcher(folder)


def test_partial_is_any_truth(folder, queries):
    found = GroupSearcher(folder, partial=[]).search_many(queries, 1)
    assert_same(found, GroupSearcher(folder).search_many(queries, 1))


@pytest.mark.parametrize("runner", [5, min])
def test_what_runs_nothing_is_no_runner(folder, runner):
    with pytest.raises(InvalidInput, match=r"runner\.run: expected a function, got None"):
        GroupSearcher(folder, runner=runner)
