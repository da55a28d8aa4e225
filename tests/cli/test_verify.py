"""`verify`: whole data exits with 0; damage exits with 5 and names what it hit."""

import shutil

import pytest

from cgcython.store import shards


@pytest.fixture
def damaged(work, tmp_path):
    def damage(source, pattern, at=-200):
        target = tmp_path / source
        shutil.copytree(work / source, target)
        path = max(target.glob(pattern), key=lambda one: one.stat().st_size)
        content = bytearray(path.read_bytes())
        content[at] ^= 0x10
        path.write_bytes(content)
        return target, path

    return damage


@pytest.mark.parametrize("source", ["store", "shards"])
def test_whole_data_is_sound(cli, work, source):
    result = cli("verify", work / source, "--json")
    assert result.code == 0
    assert result.json["ok"] is True
    assert result.json["records"] == 40


def test_a_flipped_bit_in_a_shard_is_found(cli, damaged):
    folder, path = damaged("shards", shards.PATTERN)
    result = cli("verify", folder, "--json")
    assert result.code == 5
    assert list(result.json["damaged"]) == [str(path)]
    assert result.json["shards"] == 2


def test_a_flipped_bit_in_a_store_is_found(cli, damaged):
    folder, _ = damaged("store", "*.sst")
    result = cli("verify", folder)
    assert result.code == 5
    assert "damaged" in result.err


def test_a_damaged_shard_does_not_decode(cli, damaged, tmp_path):
    folder, _ = damaged("shards", shards.PATTERN)
    result = cli("decode", folder, "--out", tmp_path / "x.npz")
    assert result.code == 5
    assert not (tmp_path / "x.npz").exists()


def test_repair_keeps_what_is_good_and_names_the_rest(cli, work, tmp_path):
    folder = shutil.copytree(work / "store", tmp_path / "store")
    for table in folder.glob("*.sst"):  # in both copies of the codebook
        content = bytearray(table.read_bytes())
        if b"centroids" in content:
            content[content.index(b"centroids")] ^= 0x20
            table.write_bytes(content)
    dry = cli("verify", folder, "--repair", "--dry-run", "--json")
    assert dry.code == 5
    assert dry.json["path"] is None
    result = cli("verify", folder, "--repair", "--json")
    assert result.code == 5
    assert result.json["lost"] == dry.json["lost"]
    assert result.json["path"] == str(folder)
    assert result.json["records"] + len(result.json["lost"]) == 40
    assert any("the codebook 0x" in loss for loss in result.json["losses"])


def test_repair_of_a_sound_store_does_nothing(cli, work, tmp_path):
    folder = shutil.copytree(work / "store", tmp_path / "store")
    result = cli("verify", folder, "--repair")
    assert result.code == 0
    assert "nothing needs repair" in result.err
    assert result.out.startswith("40 whole records")


def test_repair_is_for_stores_and_its_options_for_repair(cli, work):
    assert cli("verify", work / "shards", "--repair").code == 2
    assert cli("verify", work / "store", "--dry-run").code == 2


def test_a_folder_of_shards_that_is_not_whole_exits_with_5(cli, work, tmp_path):
    folder = shutil.copytree(work / "shards", tmp_path / "shards")
    shards.shard_path(folder, 1).unlink()
    next((folder / "pq8_codebooks").iterdir()).unlink()
    result = cli("verify", folder)
    assert result.code == 5
    assert (
        "shard-00001.safetensors: it is missing; run the same cgcython encode again" in result.err
    )
    assert "Semantic_codebook.safetensors: it is missing; restore it, or run" in result.err
    told = cli("verify", folder, "--json")
    assert (told.code, told.json["ok"], told.json["shards"]) == (5, False, 2)
    assert len(told.json["damaged"]) == 2


@pytest.mark.parametrize("gone", [False, True])
def test_a_partial_folder_does_not_decode(cli, work, tmp_path, gone):
    folder = shutil.copytree(work / "shards", tmp_path / "shards")
    for path in shards.shard_paths(folder)[0 if gone else 1 :]:
        path.unlink()
    result = cli("decode", folder, "--out", tmp_path / "x.npz")
    assert result.code == 5
    assert "shard-00001.safetensors" in result.err
    assert "encode --out" in result.err
