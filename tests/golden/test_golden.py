"""Bytes of past releases are read for ever, to the values they were written from.

The files are never written again: a new layout or version gets files of its own.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.store.shards import read_shard

V1 = Path(__file__).with_name("v1")
EXPECTED = json.loads((V1 / "expected.json").read_text())
RECORDS = sorted(path.stem for path in V1.glob("*.cgqe"))
PARTS = EXPECTED["fingerprint"]


@pytest.fixture(scope="module")
def router():
    books = {
        "E1": PQ8Codebook.load(V1 / "codebook_plain.safetensors", 16),
        "E10": PQ8Codebook.load(V1 / "codebook_rotated.safetensors", 24),
    }
    return QuantizationRouter(books)


def read(name):
    return QuantizedEmbedding.from_bytes((V1 / f"{name}.cgqe").read_bytes())


def plain(decoded):
    if hasattr(decoded, "indices"):
        return {"indices": decoded.indices.tolist(), "weights": decoded.weights.tolist()}
    return decoded.tolist()


def test_there_is_a_golden_record_of_every_layout():
    layouts = {(V1 / f"{name}.cgqe").read_bytes()[6] for name in RECORDS}
    assert layouts == set(range(1, 10))


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_keeps_its_meaning(name, router):
    quantized, expected = read(name), EXPECTED[name]
    assert quantized.method.value == expected["method"]
    assert quantized.original_dim == expected["dimension"]
    assert quantized.metadata._asdict() == expected["metadata"]
    if quantized.method.value == "pq8":
        np.testing.assert_allclose(router.dequantize(quantized), expected["decoded"], rtol=1e-5)
    else:
        assert plain(router.dequantize(quantized)) == expected["decoded"]


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_written_as_it_was(name):
    assert read(name).to_bytes() == (V1 / f"{name}.cgqe").read_bytes()


@pytest.mark.parametrize("name", [name for name in RECORDS if "positions" in EXPECTED[name]])
def test_compact_tokens_keep_their_positions(name):
    positions = TokenPruningCodec(EXPECTED[name]["dimension"]).positions(read(name))
    assert positions.tolist() == EXPECTED[name]["positions"]


def test_a_fingerprint_keeps_its_parts():
    data = (V1 / "fingerprint.cgfp").read_bytes()
    found = QuantizedFingerprint.from_bytes(data)
    assert {model_id.short: one for model_id, one in found.items()} == {
        short: read(name) for short, name in PARTS.items()
    }
    assert found.to_bytes() == data


def test_a_fingerprint_of_nothing_is_a_record():
    data = (V1 / "fingerprint_empty.cgfp").read_bytes()
    assert QuantizedFingerprint.from_bytes(data) == QuantizedFingerprint({})


def test_a_store_keeps_its_records(tmp_path):
    shutil.copytree(V1 / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store") as store:
        report = store.verify()
        found = {str(one): sorted(part.short for part in store.quantized(one)) for one in store}
        assert found == EXPECTED["store"]
        assert report.sections == len(PARTS) + 1
        first = store.retrieve(next(iter(store)))
        expected = EXPECTED[PARTS["E9"]]["decoded"]
        assert first[ModelId.HDC].tolist() == expected
        assert store.search(first, k=1)[0].similarity > 0.99


def test_a_shard_keeps_its_columns(router):
    shard = read_shard(V1 / "shard.safetensors")
    assert shard.ids.tobytes() == bytes(range(64))
    for model_id, (batch, rows) in shard.parts.items():
        codec = router.encoders[batch.method].decoder(batch)
        decoded = [plain(codec.decode(codec.row(batch, i))) for i in range(len(batch))]
        assert rows is None or rows.tolist() == [0, 1, 3]
        if model_id is ModelId.SEMANTIC:
            np.testing.assert_allclose(decoded, EXPECTED["shard"]["E1"], rtol=1e-5)
        else:
            assert decoded == EXPECTED["shard"][model_id.short]
