"""A graph proposes what a scan would find; scores are those of the scan."""

import re
from uuid import UUID

import numpy as np
import pytest
from structured import clustered

from cgcython import Fingerprint, ModelId, PQ8Codebook, Profile
from cgcython.errors import InvalidInput
from cgcython.search import FingerprintStore, graphs
from cgcython.search.graph_settings import EARLIER, GraphSettings
from cgcython.search.graphs import Graph

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
COUNT, DIM = 900, 64
IDS = [UUID(int=(i * 2654435761) << 8) for i in range(1, COUNT + 1)]
ROWS = clustered(DIM, COUNT)
PROFILE = Profile.from_toml(
    f"""
    E1 = {{ dimension = {DIM}, method = "pq8" }}
    E8 = {{ dimension = {DIM}, method = "float8_e4m3" }}
    E9 = {{ dimension = {DIM}, method = "binary" }}
    """
)


def memory(row, embedders=("E1", "E8", "E9")):
    return Fingerprint(dict.fromkeys(embedders, row))


@pytest.fixture
def store(tmp_path):
    books = {ModelId.SEMANTIC: PQ8Codebook.train(clustered(DIM, 2000, seed=5), rotation=None)}
    with FingerprintStore.open(tmp_path / "s", books, PROFILE) as store:
        store.store_many((one, memory(row)) for one, row in zip(IDS, ROWS))
        yield store


QUERIES = [memory(row) for row in clustered(DIM, 12, seed=3)]


@pytest.mark.parametrize("name", ["E1", "E8", "E9"])
def test_nearly_all_found_are_as_near_as_those_of_a_scan(store, name):
    near_enough = 0
    for query in QUERIES:
        worst = store.search(query, 10, name)[-1].scores[ModelId.parse(name)]
        found = store.search(query, 10, name, approximate="graph")
        near_enough += sum(hit.scores[ModelId.parse(name)] >= worst for hit in found)
    assert near_enough >= 0.95 * 10 * len(QUERIES)


def test_a_graph_finds_as_many_as_it_is_asked_to(store, monkeypatch):
    asked = []
    nearest = Graph.nearest
    monkeypatch.setattr(
        Graph, "nearest", lambda *args: asked.append(found := nearest(*args)) or found
    )
    for k in (10, 300, COUNT + 1):
        store.search(QUERIES[0], k, "E8", approximate="graph")
    assert [len(found) for found in asked] == [graphs.USUAL.expansion_search, 301, COUNT]


@pytest.mark.parametrize("wrong", [0, -1, 1.5, None, "many", "5", [1]])
def test_what_approximate_can_be_is_told(store, wrong):
    expected = 'approximate: expected True, False, "graph" or a number of records, 1 or more, got '
    with pytest.raises(InvalidInput, match=re.escape(expected + repr(wrong))):
        store.search(QUERIES[0], approximate=wrong)


def test_hits_of_several_graphs_are_those_of_scans_with_their_scores(store):
    same = 0
    for query in QUERIES:
        near = {hit.id: hit for hit in store.search(query, approximate="graph")}
        for hit in store.search(query):
            if hit.id in near:
                assert near[hit.id].scores == pytest.approx(hit.scores, abs=1e-6)
                same += 1
    assert same >= 0.95 * 10 * len(QUERIES)


def test_a_stored_fingerprint_finds_itself(store):
    for number in range(0, COUNT, 97):
        hit = store.search(memory(ROWS[number]), 1, approximate="graph")[0]
        assert (hit.id, hit.similarity > 0.99) == (IDS[number], True)


def test_a_graph_follows_what_is_written_and_deleted(store):
    query = memory(ROWS[7])
    assert store.search(query, 1, approximate="graph")[0].id == IDS[7]
    store.delete(IDS[7])
    assert IDS[7] not in [hit.id for hit in store.search(query, 50, approximate="graph")]
    store.store(IDS[7], memory(ROWS[8]))
    store.store(UUID(int=3), query)
    assert store.search(query, 1, approximate="graph")[0].id == UUID(int=3)
    found = store.search(memory(ROWS[8]), 2, approximate="graph")
    assert {hit.id for hit in found} == {IDS[7], IDS[8]}


def test_a_graph_is_read_as_it_was_written(store, tmp_path):
    column, graph = store._columns.graph(ModelId.GRAPH)
    graph.position = 5
    graph.save(tmp_path / "graph")
    again = Graph.load(tmp_path / "graph", column)
    assert (len(again), again.position, again.fits(column)) == (COUNT, 5, True)
    for row in ROWS[:5]:
        found, expected = (one.nearest(column, row, 10) for one in (again, graph))
        assert np.array_equal(found, expected)
    again.update(column, column.row_keys[np.arange(3)])
    assert len(again) == COUNT


@pytest.mark.parametrize("place", [3, 300, -5, 0.5])
def test_a_damaged_graph_is_not_believed(store, tmp_path, place):
    column, graph = store._columns.graph(ModelId.HDC)
    graph.save(tmp_path / "graph")
    data = bytearray((tmp_path / "graph").read_bytes())
    data[int(place * len(data)) if isinstance(place, float) else place] ^= 8
    (tmp_path / "graph").write_bytes(data)
    assert Graph.load(tmp_path / "graph", column) is None
    (tmp_path / "graph").write_bytes(data[:-9])
    assert Graph.load(tmp_path / "graph", column) is None
    assert Graph.load(tmp_path / "nothing", column) is None


def test_what_has_no_graph_is_scanned(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        assert store.search(memories.make(1), approximate="graph") == []
        store.store_many((one, memories.make(i)) for i, one in enumerate(IDS[:30]))
        query = memories.make(3, ["E6", "E12"])
        assert store.search(query, approximate="graph") == store.search(query)
        query = memories.make(3, ["E2"])
        assert store.search(query, metric="dot", approximate="graph") == store.search(
            query, metric="dot"
        )


def test_without_the_extra_an_error_names_it(store, monkeypatch):
    monkeypatch.setattr(graphs, "Index", None)
    with pytest.raises(InvalidInput, match=r"pip install cgcython\[ann\]"):
        store.search(memory(ROWS[0]), approximate="graph")


@pytest.mark.parametrize("name", ["E1", "E8", "E9"])
def test_equal_records_share_a_node_and_hide_nobody(store, name):
    same = [UUID(int=5000 + i) for i in range(200)]
    store.store_many((one, memory(ROWS[0], [name])) for one in same)
    hits = store.search(memory(ROWS[0], [name]), 250, name, approximate="graph")
    assert {IDS[0], *same} <= {hit.id for hit in hits}
    for row in ROWS[1:200:13]:
        query = memory(row, [name])
        assert store.search(query, 1, name, approximate="graph") == store.search(query, 1, name)
    graph = store._columns.graph(ModelId.parse(name))[1]
    assert (len(graph), graph._entries.node_count < len(graph) - 150) == (COUNT + 200, True)


def test_a_node_goes_with_the_last_of_its_records(store, tmp_path):
    twins = [UUID(int=5000 + i) for i in range(3)]
    store.store_many((one, memory(ROWS[0])) for one in twins)
    query = memory(ROWS[0], ["E8"])
    column, graph = store._columns.graph(ModelId.GRAPH)
    nodes = graph._entries.node_count
    for gone in (IDS[0], *twins):
        assert store.search(query, 1, approximate="graph")[0].similarity > 0.99
        assert graph._entries.node_count == nodes
        store.delete(gone)
        column, graph = store._columns.graph(ModelId.GRAPH)
        graph.save(tmp_path / "graph")
        assert len(Graph.load(tmp_path / "graph", column)) == len(graph)
    assert graph._entries.node_count == nodes - 1


def test_a_graph_that_finds_too_few_leaves_the_rest_to_a_scan(store):
    query = memory(ROWS[0], ["E8"])
    graph = store._columns.graph(ModelId.GRAPH)[1]
    for label in range(100, COUNT):
        graph._index.remove(label)
    assert store.search(query, 200, approximate="graph") == store.search(query, 200)


def test_rows_are_those_of_the_column_as_it_is_now(store):
    column, graph = store._columns.graph(ModelId.GRAPH)
    for turn in range(3):  # by number, then some of them by key, then after records were moved
        for row in ROWS[3:90:17]:
            rows = graph.nearest(column, row, 64)
            assert len(np.unique(rows)) == len(rows) == 64
            scores = column.scores(row, "cosine", 1)
            assert np.isin(rows, np.argsort(-scores)[:90]).mean() > 0.9
        written = range(50 * turn, 50 * turn + 50) if turn < 1 else range(COUNT)
        store.store_many((IDS[i], memory(ROWS[i], ["E8"])) for i in written)
        store.delete(IDS[90 + turn])
        column, graph = store._columns.graph(ModelId.GRAPH)


@pytest.mark.parametrize(
    "settings", [{"connectivity": 8, "expansion_add": 40}, {"expansion_search": 100}]
)
def test_settings_are_kept_in_the_file(store, tmp_path, settings):
    wanted = GraphSettings.of(settings)
    column = store._columns.get(ModelId.GRAPH)
    graph = Graph.of(column, settings=wanted)
    graph.save(tmp_path / "graph")
    again = Graph.load(tmp_path / "graph", column)
    assert again.settings == wanted
    assert again._index.connectivity == wanted.connectivity
    assert len(again.nearest(column, ROWS[0], 5)) == wanted.expansion_search


def test_a_file_that_says_no_settings_is_of_those_before(store, tmp_path, monkeypatch):
    column, graph = store._columns.graph(ModelId.GRAPH)
    monkeypatch.setattr(GraphSettings, "_asdict", lambda self: {})
    graph.save(tmp_path / "graph")
    monkeypatch.undo()
    assert Graph.load(tmp_path / "graph", column).settings == EARLIER


@pytest.mark.parametrize(
    "wrong",
    [False, 5, "many", {"links": 3}, {"connectivity": 3}, {"expansion_add": 0.5},
     {"expansion_search": True}, {"connectivity": 1 << 20}],
)  # fmt: skip
def test_settings_are_whole_numbers_by_name(wrong):
    with pytest.raises(InvalidInput):
        GraphSettings.of(wrong)


def test_more_is_proposed_of_more_records():
    assert [GraphSettings().candidates(n) for n in (10, 1 << 14, 1 << 16)] == [64, 64, 128]
