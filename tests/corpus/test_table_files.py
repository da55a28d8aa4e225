"""Parquet and Arrow files: embeddings, ids and metadata by the names of their columns."""

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from cgcython import Profile, StoreWriter, open_corpus
from cgcython.corpus import growing, table_files
from cgcython.errors import DimensionMismatch, InvalidInput, UsageError
from cgcython.search import FingerprintStore

PROFILE = Profile(
    {
        "E8": {"dimension": 4, "method": "float8_e4m3"},
        "E6": {"dimension": 50, "method": "sparse_native"},
        "E12": {"dimension": 2, "method": "token_pruning"},
    }
)
ROWS = 9
RNG = np.random.default_rng(1)
DENSE = RNG.standard_normal((ROWS, 4), dtype=np.float32)
IDS = [str(uuid.UUID(int=i + 1)) for i in range(ROWS)]
SPARSE = [{"indices": [i, i + 9], "weights": [1.0, 0.5]} if i != 4 else None for i in range(ROWS)]
TOKENS = [RNG.standard_normal((i % 3, 2)).tolist() if i != 8 else None for i in range(ROWS)]
TABLE = pa.table(
    {
        "id": IDS,
        "E8": pa.array(DENSE.tolist(), pa.list_(pa.float32(), 4)),
        "E6": SPARSE,
        "E12": pa.array(TOKENS, pa.list_(pa.list_(pa.float32(), 2))),
        "lang": ["en", None, "de"] * 3,
        "year": range(2000, 2000 + ROWS),
        "tags": [["a", "b"], None, []] * 3,
    }
)


def stream(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def batches(table, path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


WRITERS = {
    "groups.parquet": lambda table, path: pq.write_table(table, path, row_group_size=4),
    "file.arrow": batches,
    "stream.arrow": stream,
    "compressed.feather": lambda table, path: pa.feather.write_feather(table, path),
}


@pytest.fixture(params=WRITERS)
def path(request, tmp_path):
    WRITERS[request.param](TABLE, tmp_path / request.param)
    return tmp_path / request.param


def test_a_table_is_a_corpus(path):
    corpus = open_corpus(path, PROFILE)
    assert [one.short for one in corpus] == ["E6", "E8", "E12"]
    assert corpus.num_memories == ROWS
    memories = corpus.fingerprints(0, ROWS)
    for row, one in enumerate(memories):
        found = {key.short: value for key, value in one.items()}
        np.testing.assert_array_equal(found["E8"], DENSE[row])
        assert ("E6" in found, "E12" in found) == (row != 4, row != 8)
        if row != 4:
            assert found["E6"].indices.tolist() == SPARSE[row]["indices"]
        if row != 8:
            np.testing.assert_allclose(found["E12"], np.reshape(TOKENS[row], (-1, 2)), rtol=1e-6)
    assert corpus.ids[:] == [uuid.UUID(one).bytes for one in IDS]


def test_other_columns_are_metadata(path):
    metadata = open_corpus(path, PROFILE).metadata
    assert metadata[0:2] == [{"lang": "en", "year": 2000, "tags": ["a", "b"]}, {"year": 2001}]
    for start, stop in ((0, ROWS), (3, 5), (4, 8), (8, 9), (9, 9)):
        years = [one["year"] for one in metadata[start:stop]]
        assert years == list(range(2000 + start, 2000 + stop))
    assert open_corpus(path, PROFILE, metadata=["lang"]).metadata[1:3] == [{}, {"lang": "de"}]
    assert open_corpus(path, PROFILE, metadata=[]).metadata[0:1] == [{}]


def test_columns_have_any_name(path):
    specs = [f"E8={path}:E8", f"E12={path}", f"ids={path}:id"]
    corpus = open_corpus(specs, PROFILE)
    assert [one.short for one in corpus] == ["E8", "E12"]
    assert corpus.metadata[0:1] == [{"lang": "en", "year": 2000, "tags": ["a", "b"]}]
    by_name = open_corpus(f"E8={path}:E8", PROFILE, ids="id", metadata=["year"])
    assert by_name.ids[:] == corpus.ids[:]
    assert by_name.metadata[3:4] == [{"year": 2003}]


def test_large_columns_lie_in_a_temporary_file(path, monkeypatch):
    whole = open_corpus(path, PROFILE).fingerprints(0, ROWS)
    monkeypatch.setattr(growing, "MOST_BYTES", 20)
    corpus = open_corpus(path, PROFILE)
    assert isinstance(corpus["E8"].embeddings.values, np.memmap)
    for one, other in zip(corpus.fingerprints(0, ROWS), whole):
        assert one.keys() == other.keys()
        np.testing.assert_array_equal(one[PROFILE.embedder("E8")], other[PROFILE.embedder("E8")])


def test_tables_in_memory_are_taken_alike():
    expected = open_corpus({"E8": DENSE}, PROFILE).fingerprints(0, ROWS)
    table = TABLE.select(["id", "E8", "lang"])
    frames = (
        table,
        pl.DataFrame(table),
        pd.DataFrame({"id": IDS, "E8": list(DENSE), "lang": "en"}),
    )
    for one in frames:
        corpus = open_corpus(one, PROFILE)
        np.testing.assert_equal(corpus.fingerprints(0, ROWS), expected)
        assert corpus.metadata[0:1] == [{"lang": "en"}]
        assert corpus.ids[:1] == [uuid.UUID(IDS[0]).bytes]


def test_a_mapping_holds_what_store_add_takes():
    tokens = [None if one is None else np.reshape(one, (-1, 2)) for one in TOKENS]
    corpus = open_corpus({"E12": tokens, "E6": SPARSE, "metadata": [{"a": 1}] * ROWS}, PROFILE)
    other = open_corpus({"E12": TABLE["E12"], "E6": TABLE["E6"]}, PROFILE)
    np.testing.assert_equal(
        [list(one) for one in corpus.fingerprints(0, ROWS)],
        [list(one) for one in other.fingerprints(0, ROWS)],
    )
    assert corpus.metadata[2:3] == [{"a": 1}]
    assert corpus.stamps() == open_corpus({"E12": tokens, "E6": SPARSE}, PROFILE).stamps()


def test_arrays_are_metadata_where_they_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", E8=DENSE, lang=np.array(["en"] * ROWS), key=np.array(IDS))
    corpus = open_corpus(tmp_path / "x.npz", PROFILE, ids="key", metadata=["lang"])
    assert corpus.metadata[0:1] == [{"lang": "en"}]
    assert corpus.ids[:1] == [uuid.UUID(IDS[0]).bytes]


def test_metadata_goes_into_the_store(path, tmp_path):
    with StoreWriter(tmp_path / "store", profile=PROFILE) as writer:
        writer.write_all(open_corpus(path, PROFILE))
    with FingerprintStore.open(tmp_path / "store") as store:
        assert store.info(IDS[1]).metadata == {"year": 2001}
        assert store.info(IDS[2]).metadata == {"lang": "de", "year": 2002, "tags": []}


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather", ".ipc"])
@pytest.mark.parametrize("content", [b"", b"no table", b"PAR1" + bytes(40) + b"PAR1"])
def test_files_that_are_something_else_are_refused(tmp_path, suffix, content):
    (tmp_path / f"x{suffix}").write_bytes(content)
    with pytest.raises(InvalidInput, match=f"a {suffix} file"):
        open_corpus(tmp_path / f"x{suffix}", PROFILE)


def test_a_damaged_page_is_refused(tmp_path):
    pq.write_table(TABLE.select(["E8"]), tmp_path / "x.parquet", compression="zstd")
    content = bytearray((tmp_path / "x.parquet").read_bytes())
    content[4:60] = b"\xff" * 56
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a \.parquet file"):
        open_corpus(tmp_path / "x.parquet", PROFILE)


def test_what_is_wrong_names_the_column(tmp_path):
    def refused(error, match, columns, inputs="{}", **names):
        pq.write_table(pa.table(columns), tmp_path / "x.parquet")
        with pytest.raises(error, match=match) as caught:
            open_corpus(inputs.format(tmp_path / "x.parquet"), PROFILE, **names)
        return str(getattr(caught.value, "__notes__", ""))

    good = {"E8": DENSE.tolist()}
    assert "E1=" in refused(InvalidInput, "vec", {"vec": DENSE.tolist()})
    assert "dimension = 3" in refused(DimensionMismatch, "4", {"E8": DENSE[:, :3].tolist()})
    refused(InvalidInput, "fill_null", {"E8": [[1.0, None, 2.0, 3.0]]})
    refused(InvalidInput, "one of E8", good, "E8={}:vec")
    refused(UsageError, "--ids key: the inputs have E8", good, ids="key")
    refused(UsageError, "--metadata key: the inputs have E8", good, metadata=["key"])
    refused(UsageError, "name one column", good, "E12={}:values,offsets")
    refused(InvalidInput, "names such as|one of|got", {"lang": ["en"]}, "E8={}")


def test_a_table_without_rows_is_an_empty_corpus(tmp_path):
    pq.write_table(TABLE[:0].drop_columns("id"), tmp_path / "x.parquet")
    corpus = open_corpus(tmp_path / "x.parquet", PROFILE)
    assert (corpus.num_memories, len(corpus)) == (0, 3)


def test_numbers_of_a_table_stand_side_by_side(tmp_path):
    from cgcython.corpus.named_array import named_array

    table = pa.table({"query": [0, 1], "memory": [5, 6], "gain": [1, 2], "note": ["a", "b"]})
    pq.write_table(table, tmp_path / "q.parquet")
    assert named_array(f"{tmp_path}/q.parquet").tolist() == [[0, 5, 1], [1, 6, 2]]
    assert named_array(f"{tmp_path}/q.parquet:gain,query").tolist() == [[1, 0], [2, 1]]
    with pytest.raises(InvalidInput, match="one of query, memory"):
        named_array(f"{tmp_path}/q.parquet:gains")
    pq.write_table(TABLE, tmp_path / "t.parquet")
    np.testing.assert_array_equal(named_array(f"{tmp_path}/t.parquet:E8"), DENSE)


def test_rows_that_follow_each_other_are_decoded_once(tmp_path, monkeypatch):
    pq.write_table(pa.table({"E8": np.zeros((9000, 4)).tolist()}), tmp_path / "x.parquet")
    monkeypatch.setattr(table_files, "ROWS", 100)
    column = open_corpus(tmp_path / "x.parquet", PROFILE)["E8"]
    begun, batches = [], table_files.TableFile._batches
    monkeypatch.setattr(
        table_files.TableFile, "_batches", lambda *given: begun.append(1) or batches(*given)
    )
    counts = [len(column.piece(start, start + 70).embeddings) for start in range(0, 8960, 70)]
    assert (set(counts), len(begun)) == ({70}, 0)
    assert len(column.piece(8900, 9000).embeddings) == 100
    assert len(column.piece(0, 9000).embeddings) == 9000
    assert len(begun) == 1
