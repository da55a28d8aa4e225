"""`inspect`: every kind of file and folder that the package writes."""

import pytest

from cgcython.store import RecordStore, shards

BOOK = "models/pq8_codebooks/Semantic_codebook.safetensors"
LAYOUTS = {"E1": None, "E6": "compact_f16", "E8": None, "E12": "compact_int4_f16"}


@pytest.mark.parametrize("source", ["store", "shards"])
def test_a_store_and_shards_list_their_embedders(cli, work, source):
    found = cli("inspect", work / source, "--json").json
    assert (found["kind"], found["memories"]) == (source, 40)
    assert {part["embedder"]: part["layout"] for part in found["parts"]} == LAYOUTS
    assert sum(part["memories"] for part in found["parts"]) == 140


def test_one_record_shows_its_metadata(cli, work):
    found = cli("inspect", work / "store", "--id", "0", "--json").json
    parts = {part["embedder"]: part for part in found["parts"]}
    assert parts["E1"]["metadata"]["num_subvectors"] == parts["E1"]["stored_bytes"] == 8
    with RecordStore.open(work / "store", read_only=True) as store:
        assert found["record_bytes"] == store.get_stored_size(0)


def test_an_unknown_record_is_a_usage_error(cli, work):
    text = "00000000-0000-0000-0000-000000000000"
    assert cli("inspect", work / "store", "--id", text).code == 2


def test_a_codebook_tells_its_training(cli, work):
    found = cli("inspect", work / BOOK, "--json").json
    assert (found["kind"], found["samples"], found["dimension"]) == ("codebook", 600, 32)
    for what in ("held_out_loss", "held_out_recall10"):
        low, high = found[f"{what}_interval"]
        assert low <= found[what] <= high
    assert "held out recall10 interval" in cli("inspect", work / BOOK).out


def test_a_models_folder_lists_its_codebooks(cli, work):
    assert len(cli("inspect", work / "models", "--json").json["parts"]) == 1


def test_one_shard(cli, work):
    path = shards.shard_paths(work / "shards")[2]
    found = cli("inspect", path, "--json").json
    assert (found["kind"], found["first"], found["memories"]) == ("shard", 32, 8)


def test_a_record_file(cli, work, tmp_path):
    with RecordStore.open(work / "store", read_only=True) as store:
        record = store.quantized(next(iter(store)))
    (tmp_path / "record").write_bytes(record.to_bytes())
    (tmp_path / "one").write_bytes(next(iter(record.values())).to_bytes())
    assert cli("inspect", tmp_path / "record", "--json").json["kind"] == "fingerprint"
    assert cli("inspect", tmp_path / "one", "--json").json["kind"] == "embedding"


def test_the_table_shows_the_same(cli, work):
    out = cli("inspect", work / "store").out
    assert "compact_int4_f16" in out
    assert "memories: 40" in out


@pytest.mark.parametrize(("content", "code"), [(b"CGFP damaged", 5), (b"something else", 3)])
def test_other_files_are_refused(cli, tmp_path, content, code):
    (tmp_path / "x").write_bytes(content)
    assert cli("inspect", tmp_path / "x").code == code


def test_a_path_that_is_not_there(cli, tmp_path):
    assert cli("inspect", tmp_path / "x").code == 3
