"""Columns in files give the hits of a fresh scan, whatever happened to the store or to them."""

import os
import shutil
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.errors import InvalidInput, StoreUnavailable
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search import FingerprintStore, column_files
from cgcython.search import columns as columns_module
from cgcython.search.column_files import column_path, graph_path
from cgcython.search.graph_settings import GraphSettings
from cgcython.search.keys import sorted_keys, whole_keys
from cgcython.search.loading import Loader
from cgcython.store.ids import as_key

COUNT = 60
IDS = [UUID(int=(i * 2654435761) << 8) for i in range(1, COUNT + 1)]
FILES = ("E1", "E2", "E6", "E9", "E12")


@pytest.fixture
def path(memories, tmp_path):
    """Return a store whose columns are in files."""
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((one, memories.make(i)) for i, one in enumerate(IDS))
        store.search(memories.make(0))
        saved = store.save_columns()
    assert saved == [column_path(tmp_path / "s", ModelId.parse(one)) for one in FILES]
    return tmp_path / "s"


@pytest.fixture
def loads(monkeypatch):
    """Return the list of embedders whose sections are read as a whole."""
    seen, load = [], Loader.all

    def spy(loader, model_id):
        seen.append(model_id.short)
        return load(loader, model_id)

    monkeypatch.setattr(Loader, "all", spy)
    return seen


def hits(path, query, **how):
    with FingerprintStore.open(path, read_only=True) as store:
        return store.search(query, COUNT, **how)


def fresh(path, query, **how):
    """Return the hits of a copy without files."""
    copy = shutil.copytree(path, path.with_name("fresh"))
    shutil.rmtree(copy / "columns", ignore_errors=True)
    try:
        return hits(copy, query, **how)
    finally:
        shutil.rmtree(copy)


def test_columns_are_mapped_and_nothing_is_read_again(path, memories, loads):
    found = hits(path, memories.make(4, FILES))
    assert loads == []
    assert found == fresh(path, memories.make(4, FILES))
    with FingerprintStore.open(path, read_only=True) as store:
        codes = store._columns.get(ModelId.HDC).scans[0].codes
    while codes.base is not None and not isinstance(codes, np.memmap):
        codes = codes.base
    assert isinstance(codes, np.memmap)


def test_what_was_written_since_is_applied(path, memories, loads):
    with FingerprintStore.open(path) as store:
        store.delete(IDS[3])
        store.store(IDS[4], memories.make(300))
        store.store(UUID(int=9), memories.make(301, ["E9"]))
    query = memories.make(301, FILES)
    found = hits(path, query)
    assert loads == []
    assert found == fresh(path, query)
    assert {IDS[3], UUID(int=9)} - {hit.id for hit in found} == {IDS[3]}


@pytest.mark.parametrize("seed", range(3))
def test_random_writes_and_reopens_equal_a_fresh_scan(path, memories, seed):
    rng = np.random.default_rng(seed)
    for step in range(6):
        with FingerprintStore.open(path, memories.other_codebooks if step == 3 else None) as store:
            for _ in range(rng.integers(1, 8)):
                one = IDS[rng.integers(COUNT)]
                embedders = [name for name in FILES if rng.random() < 0.7] or ["E9"]
                if rng.random() < 0.3:
                    store.delete(one)
                else:
                    store.store(one, memories.make(int(rng.integers(999)), embedders))
                if rng.random() < 0.3:
                    store.search(memories.make(1, FILES))
            if rng.random() < 0.5:
                store.save_columns(FILES)
        query = memories.make(int(rng.integers(999)), FILES)
        assert hits(path, query) == fresh(path, query)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text", "later", "gone", "foreign"])
@pytest.mark.parametrize("embedder", FILES)
def test_a_file_that_is_not_right_is_made_anew(path, memories, loads, damage, embedder):
    file = column_path(path, ModelId.parse(embedder))
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[-3] ^= 16
    elif damage == "later":
        data = data.replace(b'\\"version\\": 3', b'\\"version\\": 4')
    elif damage == "foreign":
        others = [one for one in FILES if one != embedder]
        data = column_path(path, ModelId.parse(others[0])).read_bytes()
    elif damage in ("cut", "empty", "text"):
        data = {"cut": data[:-9], "empty": b"", "text": b"not this"}[damage]
    file.unlink() if damage == "gone" else file.write_bytes(data)
    query = memories.make(5, FILES)
    found = hits(path, query)
    assert loads == [embedder]
    assert found == fresh(path, query)


def test_every_flipped_byte_is_noticed(path, memories, loads):
    file = column_path(path, ModelId.HDC)
    data = file.read_bytes()
    expected = hits(path, memories.make(5, ["E9"]))
    for at in np.random.default_rng(0).integers(0, len(data), 40):
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert hits(path, memories.make(5, ["E9"])) == expected


def test_files_of_another_copy_are_not_believed(path, memories, loads, tmp_path):
    copy = shutil.copytree(path, tmp_path / "copy")
    for one, seed in ((path, 500), (copy, 600)):
        with FingerprintStore.open(one) as store:
            store.store(IDS[0], memories.make(seed))
            store.save_columns(FILES)
    for name in FILES:
        file = column_path(copy, ModelId.parse(name))
        shutil.copy(file, column_path(path, ModelId.parse(name)))
    query = memories.make(500, FILES)
    assert hits(path, query)[0].id == IDS[0]
    assert loads == list(FILES)


def test_a_writer_does_not_disturb_who_reads(path, memories):
    query = memories.make(7, FILES)
    with FingerprintStore.open(path, read_only=True) as reader:
        before = reader.search(query, COUNT)
        with FingerprintStore.open(path) as writer:
            writer.store(IDS[7], memories.make(700))
            writer.save_columns(FILES)
        assert reader.search(query, COUNT) == before
    assert hits(path, query) != before
    assert hits(path, query) == fresh(path, query)


def test_closing_saves_large_columns_that_have_no_file(path, memories, monkeypatch, loads):
    shutil.rmtree(path / "columns")
    with FingerprintStore.open(path) as store:
        store.search(memories.make(1, ["E9"]))
    assert not (path / "columns").exists()
    monkeypatch.setattr(columns_module, "LARGE", 10)
    with FingerprintStore.open(path, read_only=True) as store:
        store.search(memories.make(1, ["E9"]))
    assert not (path / "columns").exists()
    for _ in range(2):
        with FingerprintStore.open(path) as store:
            store.search(memories.make(1, ["E9", "E12"]))
    assert [one.name for one in (path / "columns").iterdir()] == ["E9.safetensors"]
    assert loads == ["E9", "E9", "E9", "E12", "E12"]


@pytest.mark.parametrize(
    "layout", ["compact_e4m3", "compact_int4", "compact_int2_f16", "canonical"]
)
def test_tokens_of_every_layout_have_a_file_without_those_that_are_gone(
    memories, tmp_path, layout, loads
):
    path, pruned = tmp_path / "s", TokenPruningCodec(8, 1.0, layout=layout)
    names = IDS[:20]
    with FingerprintStore.open(path, None, memories.profile) as store:
        for i, one in enumerate(names):
            tokens = memories.make(i, ["E12"], tokens=3 + i)[ModelId.LATE_INTERACTION]
            quantized = {ModelId.LATE_INTERACTION: pruned.encode(tokens)}
            store.store_quantized([(one, QuantizedFingerprint(quantized))])
        query = memories.make(7, ["E12"], tokens=10)
        store.search(query)
        store.save_columns(["E12"])
        whole = column_path(path, ModelId.LATE_INTERACTION).stat().st_size
        store.delete_many(names[10:])
        store.search(query)
        store.save_columns(["E12"])
    assert column_path(path, ModelId.LATE_INTERACTION).stat().st_size < 0.6 * whole
    del loads[:]
    found = hits(path, query)
    assert loads == []
    assert found == fresh(path, query)
    assert found[0].id == IDS[7]


def test_postings_are_those_of_the_file(path, memories, monkeypatch):
    query = memories.make(3, ["E6"])
    expected = fresh(path, query)
    monkeypatch.setattr("cgcython.kernels.sparse_products.invert", None)  # it would fail
    assert hits(path, query) == expected


def test_a_read_only_store_saves_nothing(path):
    with (
        FingerprintStore.open(path, read_only=True) as store,
        pytest.raises(StoreUnavailable, match="read_only=True"),
    ):
        store.save_columns()


def test_graphs_are_saved_and_followed(path, memories, monkeypatch):
    query = memories.make(12, ["E2", "E9"])
    with FingerprintStore.open(path) as store:
        store.search(query, approximate="graph")
        assert graph_path(path, ModelId.HDC) in store.save_columns()
        store.delete(IDS[0])
        store.store(IDS[1], query)
    monkeypatch.setattr(columns_module.Graph, "of", None)  # it would fail
    found = hits(path, query, approximate="graph")
    assert {found[0].id, found[1].id} == {IDS[1], IDS[12]}
    assert IDS[0] not in [hit.id for hit in found]


def test_graphs_are_made_with_the_settings_named_and_keep_them(path):
    with FingerprintStore.open(path) as store:
        store.save_columns(["E9"], graphs={"connectivity": 8})
    with FingerprintStore.open(path) as store:
        first = store._columns.graph(ModelId.HDC)[1]
        assert first.settings == GraphSettings(connectivity=8)
        store.save_columns(["E9"], graphs=True)
        store.save_columns(["E9"], graphs={"connectivity": 8, "expansion_search": 99})
        again = store._columns.graph(ModelId.HDC)[1]
        assert (again is first, again.settings.expansion_search) == (True, 99)
        store.save_columns(["E9"], graphs={})
        assert store._columns.graph(ModelId.HDC)[1].settings == GraphSettings()
        with pytest.raises(InvalidInput, match="graphs: expected True or a mapping of connect"):
            store.save_columns(["E9"], graphs={"links": 8})


def test_a_store_and_its_backup_do_not_mind_the_folder(path, memories, tmp_path):
    with FingerprintStore.open(path) as store:
        assert store.verify().records == COUNT
        store.backup(tmp_path / "backup")
    assert hits(tmp_path / "backup", memories.make(3)) == hits(path, memories.make(3))


@pytest.mark.parametrize("approximate", [False, True, "graph"])
@pytest.mark.parametrize("embedder", FILES)
def test_a_mapped_column_whose_file_is_cut_short_is_made_anew(
    path, memories, loads, embedder, approximate
):
    query, file = memories.make(5, [embedder]), column_path(path, ModelId.parse(embedder))
    with FingerprintStore.open(path, read_only=True) as store:
        expected = store.search(query, COUNT, approximate=approximate)
        assert loads == []
        os.truncate(file, 200)
        assert store.search(query, COUNT, approximate=approximate) == expected
        assert loads == [embedder]
        assert store.search(query, COUNT, approximate=approximate) == expected
        assert loads == [embedder]


@pytest.mark.parametrize(
    ("ids", "width"),
    [
        ([UUID(int=0), UUID(int=256)], 16),
        ([5, -5], 10),
        (["x" * 14, "y"], 17),
        (["x" * 15], 18),
        ([UUID(int=7), 7, "7"], 17),
        (["x" * 512, UUID(int=7)], 514),
    ],
)
def test_keys_of_all_kinds_come_back_from_a_file(ids, width):
    keys = sorted_keys([as_key(one) for one in ids])
    rows = column_files._rows_of(keys)
    assert rows.shape == (len(ids), width)
    assert whole_keys(column_files._keys_of(np.ascontiguousarray(rows))) == whole_keys(keys)
