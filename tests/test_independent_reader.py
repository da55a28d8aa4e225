"""Whoever has docs/FORMAT.md can read what this package writes."""

import json
import runpy
import zlib
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest

from cgcython import CodeIndex, ModelId, PQ8Codebook, TokenArray, TokenPruningCodec
from cgcython.store.key_columns import KeyColumn
from cgcython.store.shards import Shard, ShardPart, read_shard, write_shard

HERE = Path(__file__).parent
V5 = HERE / "golden" / "v5_shards"
READER = HERE / "independent_reader.py"
V1, V2, V4, V4_RQ8 = FOLDERS = [HERE / "golden" / name for name in ("v1", "v2", "v4", "v4_rq8")]
FILES = V1 / "expected.json", *(folder / "records.json" for folder in FOLDERS[1:])
VALUES = {path.parent: json.loads(path.read_text()) for path in FILES}
EXPECTED = VALUES[V1]
RECORDS = [path for folder in VALUES for path in sorted(folder.glob("*.cgqe"))]
CODEBOOKS = [*sorted(V1.glob("codebook_*")), *V4_RQ8.glob("codebook_*")]
reader = SimpleNamespace(**runpy.run_path(str(READER)))


def test_it_shares_nothing_with_the_package():
    assert "cgcython" not in READER.read_text().replace('"cgcython-', "").replace('"cgcython_h', "")
    assert "numpy" not in READER.read_text()


def values_of(section, codebooks):
    if "codes" in section:
        return codebooks[section["codebook_id"]](section["codes"])
    if "indices" in section:
        return {"indices": section["indices"], "weights": section["weights"]}
    return section["values"] if "values" in section else section["tokens"]


@pytest.fixture(scope="module")
def codebooks():
    read = [reader.read_codebook(path.read_bytes()) for path in CODEBOOKS]
    return {codebook_id: decode for decode, codebook_id in read}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_decodes_a_record_to_the_same_values(path, codebooks):
    section = reader.read_embedding_record(path.read_bytes())
    found, expected = values_of(section, codebooks), VALUES[path.parent][path.stem]
    assert section["dimension"] == expected["dimension"]
    assert section.get("positions") == expected.get("positions")
    if "codes" in section:
        np.testing.assert_allclose(found, expected["decoded"], rtol=1e-5)
    else:
        assert found == expected["decoded"]


@pytest.mark.parametrize("folder", [V1, V2], ids=lambda folder: folder.name)
def test_it_reads_the_parts_of_a_fingerprint(folder, codebooks):
    sections = reader.read_fingerprint_record((folder / "fingerprint.cgfp").read_bytes())
    parts = VALUES[folder]["fingerprint"]
    assert [f"E{embedder + 1}" for embedder in sections] == list(parts)
    for section, name in zip(sections.values(), parts.values()):
        found = values_of(section, codebooks)
        if "codes" not in section:
            assert found == VALUES[folder][name]["decoded"]


def test_it_reads_what_travels_with_a_fingerprint():
    _, info, _ = reader.read_whole_manifest((V2 / "fingerprint.cgfp").read_bytes())
    assert info == VALUES[V2]["info"]


def test_it_reads_a_folder_of_shards_and_knows_its_inputs():
    about, facts = reader.read_folder(V5 / "shards")
    assert (about["memories"], [one["first"] for one in facts]) == (5, [0, 2, 4])
    with np.load(V5 / "inputs.npz") as inputs:
        values, offsets, rows = (inputs[f"E12.{name}"] for name in ("values", "offsets", "rows"))
        dense = inputs["E8"]
    first = rows[:1].astype("<i8")  # of the first shard, only memory 0 has tokens
    ends = int(offsets[1])
    tokens = np.array([0, ends], "<i8").tobytes() + values[:ends].tobytes() + first.tobytes()
    assert facts[0]["inputs"]["E12"] == zlib.crc32(tokens)
    assert facts[0]["inputs"]["E8"] == zlib.crc32(dense[:2].tobytes())
    assert reader.read_sealed((V5 / "job.json").read_bytes())["job"]["shard_size"] == 2


def test_it_reads_a_shard(codebooks):
    ids, found = reader.read_shard((V1 / "shard.safetensors").read_bytes())
    assert ids == [bytes(range(16 * i, 16 * i + 16)) for i in range(4)]
    expected = EXPECTED["shard"]
    assert list(found["E6"]) == [0, 1, 3]
    for name in ("E2", "E6", "E9", "E12"):
        assert list(found[name].values()) == expected[name]
    (decode,) = [codebooks[one] for one in codebooks if one == 969529394]
    for codes, values in zip(found["E1"].values(), expected["E1"]):
        np.testing.assert_allclose(decode(codes), values, rtol=1e-5)


@pytest.mark.parametrize("layout", ["compact_int4_f16", "compact_int2_f16"])
def test_it_reads_rows_with_scales_of_both_widths(tmp_path, layout):
    texts = [np.random.default_rng(n).standard_normal((n, 8)).astype(np.float32) for n in (9, 4, 2)]
    texts[1][0] *= 1e-6  # whose scale is no normal f16
    codec = TokenPruningCodec(8, 1.0, layout=layout)
    batch, ids = codec.encode_batch(texts), [UUID(int=i).bytes for i in range(3)]
    assert len({one.metadata.layout for one in codec.rows(batch)}) == 2
    shard = Shard(KeyColumn.of(ids), {ModelId.LATE_INTERACTION: ShardPart(batch)}, {"memories": 3})
    write_shard(tmp_path / "shard", shard)
    found = reader.read_shard((tmp_path / "shard").read_bytes())[1]["E12"]
    assert list(found.values()) == [one.tolist() for one in codec.decode_batch(batch)]
    part = read_shard(tmp_path / "shard").parts[ModelId.LATE_INTERACTION]
    assert codec.rows(part.batch) == codec.rows(batch)


def written_now(path):
    """Write a codebook, codes, tokens and a shard, and return their files."""
    book = PQ8Codebook(np.arange(2048.0).reshape(8, 256, 1), metadata={"model": "Semäntic"})
    codes = np.zeros((3, 8), np.uint8)
    book.save(path / "codebook")
    CodeIndex(book, codes, ids=[3, 1, 2]).save(path / "codes")
    TokenArray(codes, [0, 1, 3], "e4m3").save(path / "tokens")
    write_shard(path / "shard", Shard(KeyColumn.of([]), {}, {"memories": 0}))
    return sorted(path.iterdir())


def test_it_finds_the_checksum_of_headers(tmp_path):
    for file in written_now(tmp_path):
        data = file.read_bytes()
        assert b"cgcython_header_crc32" in data
        reader.read_safetensors(data)
        with pytest.raises(AssertionError):
            reader.read_safetensors(data.replace(b"cgcython-", b"cgcythen-"))


@pytest.mark.parametrize("folder", [V1, V2], ids=lambda folder: folder.name)
def test_it_finds_every_flipped_byte(folder):
    record = (folder / "fingerprint.cgfp").read_bytes()
    for at in range(len(record)):
        damaged = bytearray(record)
        damaged[at] ^= 0x10
        with pytest.raises((AssertionError, KeyError, reader.struct.error)):
            reader.read_fingerprint_record(bytes(damaged))
