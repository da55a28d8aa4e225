"""`decode`: what comes back reads like what went in."""

import numpy as np


def load(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def by_id(arrays, name):
    ids = map(bytes, arrays["ids"])
    return {one: arrays[name][row].tolist() for row, one in enumerate(ids)}


def test_sparse_vectors_come_back_exactly(cli, work, tmp_path):
    cli("decode", work / "shards", "--out", tmp_path / "out.npz")
    original, decoded = load(work / "corpus.npz"), load(tmp_path / "out.npz")
    for part in ("indptr", "indices", "weights"):
        np.testing.assert_array_equal(decoded[f"E6.{part}"], original[f"E6.{part}"])


def test_dense_vectors_come_back_within_their_loss(cli, work, tmp_path):
    cli("decode", work / "shards", "--out", tmp_path / "out.npz")
    original, decoded = load(work / "corpus.npz"), load(tmp_path / "out.npz")
    step = np.abs(original["E8"]).max(axis=1, keepdims=True) / 16
    assert np.all(np.abs(decoded["E8"] - original["E8"]) <= step)


def test_the_tokens_come_back_in_their_rows(cli, work, tmp_path):
    cli("decode", work / "shards", "--out", tmp_path / "out.npz")
    original, decoded = load(work / "corpus.npz"), load(tmp_path / "out.npz")
    np.testing.assert_array_equal(decoded["E12.offsets"], original["E12.offsets"])
    np.testing.assert_array_equal(decoded["E12.rows"], original["E12.rows"])


def test_store_and_shards_decode_alike(cli, work, tmp_path):
    for source in ("store", "shards"):
        cli("decode", work / source, "--out", tmp_path / f"{source}.npz")
    one, other = (load(tmp_path / f"{source}.npz") for source in ("store", "shards"))
    assert one.keys() == other.keys()
    for name in ("E1", "E8"):
        assert by_id(one, name) == by_id(other, name)


def test_what_was_decoded_encodes_again(cli, work, models, tmp_path):
    cli("decode", work / "store", "--out", tmp_path / "out.safetensors")
    again = cli(
        "encode", tmp_path / "out.safetensors", *models, "--store", tmp_path / "s", "--json"
    )
    assert again.json["memories"] == 40


def test_some_embedders_alone(cli, work, tmp_path):
    result = cli(
        "decode", work / "store", "--out", tmp_path / "x.npz", "--embedders", "E8", "--json"
    )
    assert set(result.json["arrays"]) == {"E8", "ids"}


def test_another_suffix_is_a_usage_error(cli, work, tmp_path):
    assert cli("decode", work / "store", "--out", tmp_path / "x.csv").code == 2


def test_what_is_no_store_is_a_usage_error(cli, tmp_path):
    assert cli("decode", tmp_path, "--out", tmp_path / "x.npz").code == 2


def test_an_embedder_that_is_not_there_is_a_usage_error(cli, work, tmp_path):
    words = "--out", tmp_path / "x.npz", "--embedders", "E2"
    assert cli("decode", work / "shards", *words).code == 2
    assert not (tmp_path / "x.npz").exists()
