"""`encode`: into a store or shards, resumable, all or nothing."""

import logging

import numpy as np
import pytest

from cgcython.store import RecordStore, shards


def bad_memory(folder, row, value):
    rows = np.ones((20, 24), np.float32)
    rows[row, 3] = value
    np.save(folder / "bad.npy", rows)
    return f"E8={folder}/bad.npy"


@pytest.fixture
def encode(cli, models):
    return lambda *words: cli("encode", *words, *models, "--json")


def test_counts_bytes_beside_float32(encode, work, tmp_path):
    done = encode(work / "corpus.npz", "--store", tmp_path / "s")
    counts = done.json
    assert "warning" not in done.err
    assert counts["memories"] == 40
    assert counts["embedders"]["E1"]["stored_bytes"] == 40 * 8
    assert counts["embedders"]["E8"]["float32_bytes"] == 40 * 24 * 4
    assert counts["embedders"]["E12"]["memories"] == 20


def test_the_total_is_what_the_store_reports(work):
    with RecordStore.open(work / "store", read_only=True) as store:
        sizes = [store.get_stored_size(one) for one in store]
        assert len(sizes) == 40
        assert store.verify().stored_bytes == sum(sizes)


def test_ids_follow_from_row_numbers(work):
    with RecordStore.open(work / "store", read_only=True) as store:
        assert list(store) == [*range(40)]


def test_encoding_twice_changes_nothing(encode, work, tmp_path):
    for _ in range(2):
        assert encode(work / "corpus.npz", "--store", tmp_path / "s").code == 0
    with RecordStore.open(tmp_path / "s", read_only=True) as store:
        assert len(store) == 40


def test_resume_skips_what_is_there(encode, work, tmp_path):
    target = "--store", tmp_path / "s"
    encode(work / "corpus.npz", *target)
    counts = encode(work / "corpus.npz", *target, "--resume").json
    assert (counts["skipped"], counts["memories"]) == (40, 0)


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_threads_never_change_the_codes(encode, work, tmp_path, target):
    digests = []
    for threads in (1, 3):
        folder = tmp_path / str(threads)
        encode(work / "corpus.npz", target, folder, "--threads", threads)
        digests.append(_codes(folder))
    assert digests[0] == digests[1]


def _codes(folder):
    paths = shards.shard_paths(folder)
    if paths:
        parts = shards.read_shard(paths[0]).parts
        return {
            one: part.batch.columns[key].tobytes()
            for one, part in parts.items()
            for key in part.batch.columns
        }
    with RecordStore.open(folder, read_only=True) as store:
        return {one: store.quantized(one).sections for one in store}


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_an_empty_text_is_not_the_working_folder(encode, work, target):
    result = encode(work / "corpus.npz", target, "")
    assert (result.code, "expected a path" in result.err) == (3, True)


def test_a_run_that_skips_all_tells_no_time_for_each(cli, work, models, tmp_path):
    words = "encode", work / "corpus.npz", "--out", tmp_path / "out", *models
    assert " us each), 0 skipped" in cli(*words).err
    told = cli(*words).err
    assert "us each" not in told
    assert "s, 40 skipped" in told


def test_finished_shards_are_skipped(encode, work, tmp_path):
    words = work / "corpus.npz", "--out", tmp_path / "out", "--shard-size", 16
    encode(*words)
    first, *_ = shards.shard_paths(tmp_path / "out")
    first.unlink()
    counts = encode(*words).json
    assert (counts["skipped"], counts["memories"]) == (24, 16)
    assert first.exists()


def test_a_drift_that_no_single_shard_shows_is_told_once(encode, work, tmp_path):
    noise = np.random.default_rng(1).standard_normal((128, 32), np.float32)
    np.save(tmp_path / "noise.npy", noise)
    out = "--out", tmp_path / "out", "--shard-size", 2  # one sample of each
    done = encode(f"E1={tmp_path}/noise.npy", *out, "--profile", work / "profile.toml")
    told = [line for line in done.err.splitlines() if "sampled embeddings lose" in line]
    assert (done.code, len(told)) == (0, 1)


def test_shards_of_other_inputs_are_not_mixed(encode, work, tmp_path):
    target = "--out", tmp_path / "out"
    encode(work / "corpus.npz", *target)
    result = encode(work / "queries.npz", *target)
    assert result.code == 2
    assert "other inputs" in result.err


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_a_bad_value_names_its_memory_and_nothing_is_written(encode, tmp_path, target):
    result = encode(bad_memory(tmp_path, 13, np.inf), target, tmp_path / "t")
    assert result.code == 3
    assert "value 3 is inf" in result.err
    assert "(memory 13)" in result.err
    assert not shards.shard_paths(tmp_path / "t")


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_a_memory_over_the_budget_is_named(encode, work, tmp_path, target):
    result = encode(work / "corpus.npz", target, tmp_path / "t", "--budget", 60)
    assert result.code == 1
    assert "EMB-E017" in result.err
    assert "(memory 0)" in result.err


def test_bad_inputs_make_no_store(encode, work, tmp_path):
    assert encode(f"E8={work}/train.npz:E1", "--store", tmp_path / "s").code == 3
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_a_failed_first_run_keeps_no_later_run_from_working(encode, work, tmp_path, target):
    words = target, tmp_path / "t"
    assert encode(bad_memory(tmp_path, 13, np.inf), *words).code == 3
    assert not (tmp_path / "t").exists()
    assert encode(work / "corpus.npz", *words).json["memories"] == 40


def test_a_store_without_records_is_encoded_into(encode, work, tmp_path):
    RecordStore.open(tmp_path / "s", profile=str(work / "profile.toml")).close()
    assert encode(work / "corpus.npz", "--store", tmp_path / "s").json["memories"] == 40


def test_a_missing_codebook_names_the_command(cli, work, tmp_path):
    place = "--models", tmp_path, "--profile", work / "profile.toml"
    result = cli("encode", work / "corpus.npz", *place, "--out", tmp_path / "out")
    assert result.code == 4
    assert "cgcython train E1" in result.err


def test_a_target_is_required(encode, work):
    assert encode(work / "corpus.npz").code == 2


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_an_empty_corpus_makes_an_empty_store(cli, encode, tmp_path, target):
    np.save(tmp_path / "empty.npy", np.empty((0, 24), np.float32))
    result = encode(f"E8={tmp_path}/empty.npy", target, tmp_path / "t")
    assert result.json["memories"] == 0
    assert cli("verify", tmp_path / "t", "--json").json["records"] == 0


def test_a_bad_sparse_vector_names_its_memory(encode, tmp_path):
    arrays = {"E6.indptr": [0, 1, 3], "E6.indices": [4, 7, 7], "E6.weights": [1.0, 1, 1]}
    np.savez(tmp_path / "x.npz", **arrays)
    for target in ("--store", "--out"):
        result = encode(tmp_path / "x.npz", target, tmp_path / target)
        assert result.code == 3
        assert "duplicates" in result.err
        assert "(memory 1)" in result.err


@pytest.mark.parametrize(("ratio", "kept"), [("0.25", 2), ("1", 8), ("auto", 8)])
def test_the_part_of_tokens_to_keep_is_an_option(cli, tmp_path, ratio, kept):
    np.savez(tmp_path / "t.npz", **{"E12.values": np.eye(128)[:8], "E12.offsets": [0, 8]})
    words = "encode", tmp_path / "t.npz", "--store", tmp_path / "s", "--pruning-ratio", ratio
    assert cli(*words).code == 0
    assert cli("decode", tmp_path / "s", "--out", tmp_path / "d.npz").code == 0
    assert np.load(tmp_path / "d.npz")["E12.offsets"].tolist() == [0, kept]


def test_a_part_to_keep_needs_tokens(cli, work, models, tmp_path):
    (tmp_path / "p.toml").write_text('E8 = { dimension = 24, method = "float8_e4m3" }')
    words = "encode", work / "corpus.npz", "--out", tmp_path / "o", "--profile", tmp_path / "p.toml"
    told = cli(*words, "--pruning-ratio", "0.5")
    assert "--pruning-ratio is for tokens" in told.err
    assert cli(*words, "--pruning-ratio", "1.5").code == 2


@pytest.mark.parametrize("target", ["--store", "--out"])
def test_sampled_losses_are_told(cli, work, tmp_path, target, caplog):
    models = "--models", work / "models", "--profile", work / "profile.toml"
    words = "encode", work / "corpus.npz", *models, target
    with caplog.at_level(logging.INFO, "cgcython"):
        found = cli(*words, tmp_path / "a", "--json").json["sampled_loss"]
    assert set(found) >= {"E1", "E8", "E12"}  # columns of sparse vectors are not sampled
    assert (0 < found["E1"] < 0.05, abs(found.get("E6", 0)) < 1e-6) == (True, True)
    lines = [one.getMessage() for one in caplog.records if "sampled loss" in one.getMessage()]
    assert len(lines) == 1
    assert "40 records encoded; sampled loss: E1 " in lines[0]
    assert "sampled loss: E1 " in cli(*words, tmp_path / "b").err


def test_a_refused_encode_leaves_the_folder_as_it_is(cli, encode, work, tmp_path):
    def files():
        return {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    out, place = tmp_path / "out", ("--profile", work / "profile.toml")
    encode(work / "corpus.npz", "--out", out, "--shard-size", 16)
    rows = np.random.default_rng(8).standard_normal((600, 32)).astype(np.float32)
    np.savez(tmp_path / "train.npz", E1=rows)
    other = "--models", tmp_path / "models", *place
    training = "--input", tmp_path / "train.npz", "--bytes", 8, "--force"
    assert cli("train", "E1", *training, *other).code == 0
    before = files()
    result = cli("encode", work / "corpus.npz", "--out", out, "--shard-size", 16, *other)
    assert (result.code, files()) == (2, before)
    assert "other inputs or codebooks, or with another shard size; choose" in result.err
    assert cli("verify", out).code == 0
