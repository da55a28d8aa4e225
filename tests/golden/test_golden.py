"""Bytes of past releases are read for ever, to the values they were written from.

The files are never written again: a new layout or version gets files of its own.
"""

import json
import shutil
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import frames
from cgcython.base import ModelId
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.manifest import Manifest
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter
from cgcython.search import FingerprintStore
from cgcython.store.shards import read_shard

V1, V2, V4, V4_RQ8, V4_SCALAR = FOLDERS = [
    Path(__file__).with_name(name) for name in ("v1", "v2", "v4", "v4_rq8", "v4_scalar")
]
FILES = V1 / "expected.json", *(folder / "records.json" for folder in FOLDERS[1:])
VALUES = {path.parent: json.loads(path.read_text()) for path in FILES}
EXPECTED = VALUES[V1]
RECORDS = [path for folder in VALUES for path in sorted(folder.glob("*.cgqe"))]
PARTS = EXPECTED["fingerprint"]
each_record = pytest.mark.parametrize(
    "path", RECORDS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


@pytest.fixture(scope="module")
def router():
    books = {
        "E1": PQ8Codebook.load(V1 / "codebook_plain.safetensors", 16),
        "E5": RQ8Codebook.load(V4_RQ8 / "codebook_residual.safetensors", 6),
        "E10": PQ8Codebook.load(V1 / "codebook_rotated.safetensors", 24),
    }
    return QuantizationRouter(books)


def read(path):
    return QuantizedEmbedding.from_bytes(path.read_bytes())


def expected_of(path):
    return VALUES[path.parent][path.stem]


def plain(decoded):
    if hasattr(decoded, "indices"):
        return {"indices": decoded.indices.tolist(), "weights": decoded.weights.tolist()}
    return decoded.tolist()


def test_there_is_a_golden_record_of_every_layout():
    known = {layout.number for layout in frames.known_layouts()}
    assert {path.read_bytes()[6] for path in RECORDS} == known


@each_record
def test_a_record_keeps_its_meaning(path, router):
    quantized, expected = read(path), expected_of(path)
    assert quantized.method.value == expected["method"]
    assert quantized.original_dim == expected["dimension"]
    assert quantized.metadata._asdict() == expected["metadata"]
    if quantized.method.value in ("pq8", "rq8"):
        np.testing.assert_allclose(router.dequantize(quantized), expected["decoded"], rtol=1e-5)
    else:
        assert plain(router.dequantize(quantized)) == expected["decoded"]


@each_record
def test_a_record_is_written_as_it_was(path):
    assert read(path).to_bytes() == path.read_bytes()


@pytest.mark.parametrize("path", [path for path in RECORDS if "positions" in expected_of(path)])
def test_compact_tokens_keep_their_positions(path):
    positions = TokenPruningCodec(expected_of(path)["dimension"]).positions(read(path))
    assert positions.tolist() == expected_of(path)["positions"]


@pytest.mark.parametrize("folder", [V1, V2], ids=lambda folder: folder.name)
def test_a_fingerprint_keeps_its_parts(folder):
    data = (folder / "fingerprint.cgfp").read_bytes()
    found = QuantizedFingerprint.from_bytes(data)
    assert {model_id.short: one for model_id, one in found.items()} == {
        short: read(folder / f"{name}.cgqe")
        for short, name in VALUES[folder]["fingerprint"].items()
    }
    assert found.to_bytes() == data


def test_a_fingerprint_keeps_its_times_and_metadata():
    info = QuantizedFingerprint.from_bytes((V2 / "fingerprint.cgfp").read_bytes()).info
    expected = VALUES[V2]["info"]
    assert info._replace(content_hash=info.content_hash.hex())._asdict() == expected
    first = QuantizedFingerprint.from_bytes((V1 / "fingerprint.cgfp").read_bytes()).info
    assert (first.created, first.updated, first.metadata) == (None, None, {})
    assert Manifest.from_bytes((V2 / "manifest_untimed.cgfp").read_bytes()) == Manifest({})


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


@pytest.mark.parametrize("folder", [V1, V2], ids=lambda path: path.name)
def test_a_store_of_before_halves_tokens(tmp_path, folder):
    shutil.copytree(folder / "store", tmp_path / "store")
    with FingerprintStore.open(tmp_path / "store") as store:
        assert store.profile[ModelId.LATE_INTERACTION].setting("pruning_ratio") == 0.5
        dim = store.profile[ModelId.LATE_INTERACTION].dimension
        tokens = np.random.default_rng(0).standard_normal((10, dim))
        store.store(UUID(int=77), {"E12": tokens})
        assert len(store.retrieve(UUID(int=77))["E12"]) == 5


def test_a_shard_keeps_its_columns(router):
    shard = read_shard(V1 / "shard.safetensors")
    assert shard.ids.data.tobytes() == bytes(range(64))
    for model_id, (batch, rows) in shard.parts.items():
        codec = router.decoder(batch)
        decoded = [plain(codec.decode(codec.row(batch, i))) for i in range(len(batch))]
        assert rows is None or rows.tolist() == [0, 1, 3]
        if model_id is ModelId.SEMANTIC:
            np.testing.assert_allclose(decoded, EXPECTED["shard"]["E1"], rtol=1e-5)
        else:
            assert decoded == EXPECTED["shard"][model_id.short]
