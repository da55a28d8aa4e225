"""Parquet at URLs: the footer when it is opened, then row groups and columns that are needed."""

import io

import numpy as np
import pytest

from cgcython import InvalidInput, Profile, open_corpus
from cgcython.errors import FileUnavailable, UsageError
from cgcython.store.ids import as_key

pa = pytest.importorskip("pyarrow")
fsspec = pytest.importorskip("fsspec")
pq = pytest.importorskip("pyarrow.parquet")
pytestmark = pytest.mark.cluster
PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 64, method = "float8_e4m3" }
    E9 = { dimension = 20, method = "binary" }
    """
)
ROWS, GROUP = 17 * 64, 64
RNG = np.random.default_rng(3)
DENSE = RNG.standard_normal((ROWS, 20)).astype(np.float32)
WIDE = RNG.standard_normal((ROWS, 64)).astype(np.float32)
SOME = [None if row % 5 == 0 else one.tolist() for row, one in enumerate(WIDE)]
TABLE = pa.table(
    {
        "id": [f"doc {row}" for row in range(ROWS)],
        "E1": pa.array(SOME, pa.list_(pa.float32())),
        "E9": pa.array(DENSE.tolist(), pa.list_(pa.float32(), 20)),
        "year": range(ROWS),
    }
)


@pytest.fixture
def reads(monkeypatch):
    """Put the table into memory and return the list of ranges that are read of objects there."""
    memory = fsspec.filesystem("memory")
    file = io.BytesIO()
    pq.write_table(TABLE, file, row_group_size=GROUP)
    memory.pipe("/t.parquet", file.getvalue())
    found, read = [], type(memory).cat_file

    def counted(self, path, start=None, end=None, **more):
        found.append(end - start)
        return read(self, path, start, end, **more)

    monkeypatch.setattr(type(memory), "cat_file", counted)
    yield found
    memory.store.clear()


def test_a_table_at_a_url_is_that_of_a_file(reads, tmp_path):
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=100)
    corpora = [open_corpus(one, PROFILE) for one in ("memory://t.parquet", tmp_path / "t.parquet")]
    for start, stop in ((0, ROWS), (60, 70), (64, 128), (ROWS - 1, ROWS)):
        one, other = (corpus.fingerprints(start, stop) for corpus in corpora)
        np.testing.assert_equal(one, other)
        checksums = [[c[e].checksum(start, stop) for e in c] for c in corpora]
        assert checksums[0] == checksums[1]
    for corpus in corpora:
        assert corpus.ids[62:66] == [as_key(f"doc {row}") for row in range(62, 66)]
        assert corpus.metadata[63:65] == [{"year": 63}, {"year": 64}]


def test_one_embedder_of_a_shard_reads_its_row_groups_alone(reads):
    size = fsspec.filesystem("memory").size("/t.parquet")
    corpus = open_corpus("memory://t.parquet", PROFILE, checked=True)
    footer = sum(reads)
    reads.clear()
    piece = corpus["E9"].piece(5 * GROUP, 6 * GROUP)
    np.testing.assert_array_equal(piece.embeddings.values, DENSE[5 * GROUP : 6 * GROUP])
    assert sum(reads) < 0.06 * size
    assert footer <= 1 << 16


def test_all_embeddings_come_where_they_are_asked_for(reads):
    column = open_corpus("memory://t.parquet", PROFILE)["E1"]
    assert column.rows.tolist() == [row for row in range(ROWS) if row % 5]
    assert column.num_memories == ROWS
    np.testing.assert_array_equal(column.embeddings.values[0], WIDE[1])


def test_a_table_that_changes_is_named(reads):
    corpus = open_corpus("memory://t.parquet", PROFILE)
    memory = fsspec.filesystem("memory")
    memory.pipe("/t.parquet", memory.cat_file("/t.parquet", 0, None or 10**6))
    with pytest.raises(FileUnavailable, match=r"memory://t.parquet: it changed"):
        corpus["E9"].piece(0, 5)


def test_damaged_tables_are_refused(reads):
    memory = fsspec.filesystem("memory")
    memory.pipe("/bad.parquet", b"PAR1" + bytes(40) + b"PAR1")
    with pytest.raises(InvalidInput, match=r"memory://bad.parquet: expected a .parquet file"):
        open_corpus("memory://bad.parquet", PROFILE)
    with pytest.raises(UsageError, match=r"\.parquet are read; save it as one, or download it"):
        open_corpus("memory://t.arrow", PROFILE)
