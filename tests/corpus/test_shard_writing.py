"""Shards appear whole and once; a folder with something else in it stays as it is."""

import numpy as np
import pytest

from cgcython import (
    BudgetExceeded,
    CodebookMissing,
    InvalidInput,
    ModelId,
    NonFiniteValue,
    PQ8Codebook,
    ShardWriter,
    open_corpus,
)
from cgcython.codecs.codebook_file import codebook_path
from cgcython.corpus.reading import ShardReader
from cgcython.errors import UsageError
from cgcython.store import shards


def columns(folder):
    """Return the bytes of all arrays of a folder of shards, by file, embedder and name."""
    found = {}
    for path in shards.shard_paths(folder):
        for model_id, (batch, _) in shards.read_shard(path).parts.items():
            for name, array in batch.columns.items():
                found[path.name, model_id, name] = array.tobytes()
    return found


@pytest.fixture
def write(memories, tmp_path):
    """Return a function that writes a corpus into a folder, 8 memories a shard."""

    def write(corpus, codebooks=memories.codebooks, **options):
        with ShardWriter(tmp_path / "out", codebooks, **{"shard_size": 8, **options}) as writer:
            writer.write_all(corpus)
        return writer

    return write


def test_all_memories_are_written_and_counted(write, corpus, tmp_path):
    writer = write(corpus)
    assert [path.name for path in shards.shard_paths(tmp_path / "out")] == [
        f"shard-0000{i}.safetensors" for i in range(3)
    ]
    assert (writer.counts.memories, writer.skipped) == (20, 0)
    assert writer.counts.embedders[ModelId.SEMANTIC].stored_bytes == 20 * 8
    assert sum(len(one.keys) for one in ShardReader(tmp_path / "out").decoded(None, 1)) == 20


def test_progress_is_told_of_every_memory(memories, corpus, tmp_path):
    told = []
    ShardWriter(tmp_path / "out", memories.codebooks, shard_size=8).write_all(corpus, told.append)
    assert told == [8, 8, 4]


def test_the_profile_is_that_of_the_corpus(write, corpus, memories, tmp_path):
    assert write(corpus).profile == memories.profile
    assert ShardReader(tmp_path / "out").profile == memories.profile


def test_a_corpus_of_another_profile_than_the_writer_was_told_is_refused(write, corpus, tmp_path):
    with pytest.raises(InvalidInput, match=r"open_corpus\(..., profile=writer.profile\)"):
        write(corpus, profile="contextgraph-2026")
    assert not (tmp_path / "out").exists()


def test_finished_shards_are_skipped(write, corpus, arrays, memories, tmp_path):
    write(corpus)
    before = columns(tmp_path / "out")
    shards.shard_path(tmp_path / "out", 1).unlink()
    writer = write(open_corpus(arrays, memories.profile))
    assert (writer.skipped, writer.counts.memories) == (12, 8)
    assert columns(tmp_path / "out") == before


def test_a_codebook_or_profile_that_is_gone_or_damaged_comes_back(write, corpus, tmp_path):
    write(corpus)
    book, profile = codebook_path(tmp_path / "out", "Semantic"), tmp_path / "out" / shards.PROFILE
    expected = PQ8Codebook.load(book), profile.read_text()
    book.write_bytes(b"damaged")
    profile.unlink()
    shards.shard_path(tmp_path / "out", 1).unlink()
    write(corpus)
    assert (PQ8Codebook.load(book), profile.read_text()) == expected


def other_arrays(arrays, memories):
    return {"corpus": open_corpus({**arrays, "E9": -arrays["E9"]}, memories.profile)}


def other_memories(arrays, memories):
    return {"corpus": open_corpus({"E9": arrays["E9"][:4]}, memories.profile)}


def other_codebooks(arrays, memories):
    corpus = open_corpus(arrays, memories.profile)
    return {"corpus": corpus, "codebooks": memories.other_codebooks}


def other_shard_size(arrays, memories):
    return {"corpus": open_corpus(arrays, memories.profile), "shard_size": 4}


OTHERS = [other_arrays, other_memories, other_codebooks, other_shard_size]


@pytest.mark.parametrize("others", OTHERS)
def test_a_refused_run_changes_nothing(others, write, corpus, arrays, memories, tmp_path, contents):
    write(corpus)
    before = contents(tmp_path / "out")
    with pytest.raises(UsageError, match="other inputs or codebooks"):
        write(**others(arrays, memories))
    assert contents(tmp_path / "out") == before


def test_another_profile_is_refused(write, arrays, memories, tmp_path, contents):
    write(open_corpus({"E9": arrays["E9"]}, memories.profile))
    before = contents(tmp_path / "out")
    (tmp_path / "mine.toml").write_text('E9 = { dimension = 20, method = "float8_e4m3" }')
    with pytest.raises(UsageError, match=r"another profile \(E9: method is binary, not float8"):
        write(open_corpus({"E9": arrays["E9"]}, tmp_path / "mine.toml"), None)
    assert contents(tmp_path / "out") == before


def test_the_codebook_of_a_folder_of_models_is_not_overwritten(write, corpus, memories, tmp_path):
    path = codebook_path(tmp_path / "out", "Semantic")
    memories.other_codebooks[ModelId.SEMANTIC].save(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="Semantic_codebook"):
        write(corpus)
    assert path.read_bytes() == before
    memories.codebooks[ModelId.SEMANTIC].save(path)
    assert write(corpus, tmp_path / "out").counts.memories == 20


def test_a_failed_first_run_leaves_nothing(write, corpus, arrays, memories, tmp_path):
    bad = {**arrays, "E9": np.where(np.arange(20)[:, None] == 13, np.nan, arrays["E9"])}
    with pytest.raises(NonFiniteValue) as refusal:
        write(open_corpus(bad, memories.profile), shard_size=64)
    assert refusal.value.__notes__ == ["(memory 13)"]
    with pytest.raises(BudgetExceeded):
        write(corpus, budget_bytes=20)
    with pytest.raises(CodebookMissing):
        write(corpus, codebooks=None)
    assert not (tmp_path / "out").exists()
    assert write(corpus).counts.memories == 20


@pytest.mark.parametrize("had_folder", [False, True])
def test_a_first_shard_that_cannot_be_written_leaves_nothing(
    write, corpus, memories, tmp_path, monkeypatch, had_folder
):
    if had_folder:
        (tmp_path / "out").mkdir()
    monkeypatch.setattr(shards, "write_shard", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(corpus)
    assert list(tmp_path.rglob("*")) == [tmp_path / "out"] * had_folder
    monkeypatch.undo()
    assert write(corpus, memories.other_codebooks).counts.memories == 20


def test_threads_never_change_the_shards(corpus, memories, tmp_path):
    for threads in (1, 3):
        writer = ShardWriter(tmp_path / str(threads), memories.codebooks, num_threads=threads)
        writer.write_all(corpus)
    assert columns(tmp_path / "1") == columns(tmp_path / "3")


def test_ranges_may_be_written_one_by_one_and_are_checked(memories, corpus, tmp_path):
    writer = ShardWriter(tmp_path / "out", memories.codebooks, shard_size=8)
    ranges = list(corpus.ranges(writer.chunk))
    assert ranges == [(0, 8), (8, 16), (16, 20)]
    for start, stop in reversed(ranges):
        writer.write(corpus, start, stop)
    assert writer.counts.memories == 20
    for wrong in ((4, 12), (0, 16), (16, 24)):
        with pytest.raises(InvalidInput, match=r"one of corpus.ranges\(8\)"):
            writer.write(corpus, *wrong)
    with pytest.raises(InvalidInput, match="shard_size"):
        ShardWriter(tmp_path / "out", shard_size=0)


def test_without_a_budget_every_memory_fits(write, corpus):
    assert write(corpus, budget_bytes=None).counts.memories == 20
