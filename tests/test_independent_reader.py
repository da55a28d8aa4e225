"""Whoever has docs/FORMAT.md can read what this package writes."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

HERE = Path(__file__).parent
READER = HERE / "independent_reader.py"
V1 = HERE / "golden" / "v1"
EXPECTED = json.loads((V1 / "expected.json").read_text())
RECORDS = sorted(path.stem for path in V1.glob("*.cgqe"))
CODEBOOKS = sorted(V1.glob("codebook_*.safetensors"))
reader = SimpleNamespace(**runpy.run_path(str(READER)))


def test_it_shares_nothing_with_the_package():
    assert "cgcython" not in READER.read_text().replace('"cgcython-', "")
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


@pytest.mark.parametrize("name", RECORDS)
def test_it_decodes_a_record_to_the_same_values(name, codebooks):
    section = reader.read_embedding_record((V1 / f"{name}.cgqe").read_bytes())
    found, expected = values_of(section, codebooks), EXPECTED[name]
    assert section["dimension"] == expected["dimension"]
    assert section.get("positions") == expected.get("positions")
    if "codes" in section:
        np.testing.assert_allclose(found, expected["decoded"], rtol=1e-5)
    else:
        assert found == expected["decoded"]


def test_it_reads_the_parts_of_a_fingerprint(codebooks):
    sections = reader.read_fingerprint_record((V1 / "fingerprint.cgfp").read_bytes())
    assert [f"E{embedder + 1}" for embedder in sections] == list(EXPECTED["fingerprint"])
    for section, name in zip(sections.values(), EXPECTED["fingerprint"].values()):
        found = values_of(section, codebooks)
        if "codes" not in section:
            assert found == EXPECTED[name]["decoded"]


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


def test_it_finds_every_flipped_byte():
    record = (V1 / "fingerprint.cgfp").read_bytes()
    for at in range(len(record)):
        damaged = bytearray(record)
        damaged[at] ^= 0x10
        with pytest.raises((AssertionError, KeyError, reader.struct.error)):
            reader.read_fingerprint_record(bytes(damaged))
