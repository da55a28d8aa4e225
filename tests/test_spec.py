"""The seeds' named tests, on the data that the specification names for each."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from structured import clustered, codebooks, fingerprint

from cgcython import (
    BinaryEncoder,
    Fingerprint,
    FingerprintStore,
    Float8E4M3Encoder,
    ModelId,
    PQ8Codebook,
    PQ8Encoder,
    QuantizationMethod,
    QuantizationRouter,
    cosine_similarity,
)

SEMANTIC, RECENT, HDC = ModelId.SEMANTIC, ModelId.TEMPORAL_RECENT, ModelId.HDC
SAMPLE = Path(__file__).parents[1] / "examples" / "cranfield"
RNG = np.random.default_rng(2026)
DATA = ("clusters, plain", "clusters, rotated", "sentences")

# Training on so few samples warns, which is not what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.*samples:UserWarning")


@pytest.fixture(scope="module")
def books():
    return codebooks()


@pytest.fixture(scope="module")
def router(books):
    return QuantizationRouter(books)


@pytest.fixture(scope="module")
def trained(books):
    """Return an encoder for E1 and embeddings it was not trained on, by kind of data."""
    held_out = clustered(1024, 100, seed=1)
    rotated = PQ8Codebook.train(clustered(1024, 2500), rotation="pca", width=256)
    sentences = {name: np.load(SAMPLE / f"{name}.npz")["E1"] for name in ("train", "memories")}
    # The smallest size that keeps the limit with only 1,500 samples to learn from.
    real = PQ8Codebook.train(sentences["train"], num_subvectors=96, rotation="pca", width=384)
    return {
        "clusters, plain": (PQ8Encoder(books), held_out),
        "clusters, rotated": (PQ8Encoder({SEMANTIC: rotated}), held_out),
        "sentences": (PQ8Encoder({SEMANTIC: real}), sentences["memories"]),
    }


@pytest.fixture
def store(tmp_path, books):
    with FingerprintStore.open(tmp_path / "store", codebooks=books) as opened:
        yield opened


def test_ut_quant_001_pq8_compression_ratio(books):
    quantized = PQ8Encoder(books).quantize(SEMANTIC, RNG.standard_normal(1024))
    assert len(quantized.data) == 8
    assert quantized.compression_ratio > 100


def test_ut_quant_002_float8_compression_ratio():
    quantized = Float8E4M3Encoder().quantize(RECENT, RNG.standard_normal(512))
    assert len(quantized.data) == 512
    assert quantized.compression_ratio == pytest.approx(4, abs=0.1)


def test_ut_quant_003_binary_compression_ratio():
    quantized = BinaryEncoder().quantize(HDC, RNG.standard_normal(1024))
    assert len(quantized.data) == 128
    assert quantized.compression_ratio == pytest.approx(32, abs=0.1)


@pytest.mark.parametrize("data", DATA)
def test_ut_quant_004_pq8_recall_loss(trained, data):
    encoder, embeddings = trained[data]
    assert encoder.measure_recall_loss(SEMANTIC, embeddings) < 0.05


@pytest.mark.parametrize("draw", [RNG.uniform, RNG.normal], ids=["uniform", "normal"])
def test_ut_quant_005_float8_recall_loss(draw):
    encoder, similarities = Float8E4M3Encoder(), []
    for embedding in draw(-1, 1, (100, 512)):
        decoded = encoder.dequantize(encoder.quantize(RECENT, embedding))
        similarities.append(cosine_similarity(embedding, decoded))
    assert 1 - np.mean(similarities) < 0.003


def test_ut_quant_006_method_assignment():
    expected = {
        QuantizationMethod.PQ8: "E1 E5 E7 E10",
        QuantizationMethod.FLOAT8_E4M3: "E2 E3 E4 E8 E11",
        QuantizationMethod.BINARY: "E9",
        QuantizationMethod.SPARSE_NATIVE: "E6 E13",
        QuantizationMethod.TOKEN_PRUNING: "E12",
    }
    for method, names in expected.items():
        for name in names.split():
            assert QuantizationMethod.for_embedder(ModelId.parse(name)) is method


@pytest.mark.parametrize("data", DATA)
def test_ut_quant_007_roundtrip_preserves_similarity(trained, data):
    encoder, embeddings = trained[data]
    for a in embeddings[:20].astype(np.float32):
        b = a + 0.1 * RNG.standard_normal(len(a)) * np.abs(a).mean()
        decoded = (encoder.dequantize(encoder.quantize(SEMANTIC, x)) for x in (a, b))
        assert cosine_similarity(*decoded) == pytest.approx(cosine_similarity(a, b), abs=0.1)


def test_ut_quant_008_total_fingerprint_size(router):
    quantized = router.quantize_fingerprint(fingerprint(num_tokens=32, density=0.05))
    assert len(quantized) == 13
    assert sum(one.size_bytes for one in quantized.values()) < 20_000
    assert sum(len(one.to_bytes()) for one in quantized.values()) <= 14_000


def test_it_quant_001_storage_uses_quantization(store):
    record_id = uuid.uuid4()
    store.store(record_id, Fingerprint(fingerprint()))
    assert store.get_stored_size(record_id) <= 14_000


def test_it_quant_002_retrieval_dequantizes(store):
    record_id, original = uuid.uuid4(), Fingerprint(fingerprint())
    store.store(record_id, original)
    retrieved = store.retrieve(record_id)
    assert list(retrieved) == list(original)
    for model_id, value in original.items():
        assert is_kept(store, record_id, model_id, value, retrieved[model_id]), model_id


def is_kept(store, record_id, model_id, value, kept):
    """Return whether a retrieved embedding is as near its original as its method promises."""
    method = QuantizationMethod.for_embedder(model_id)
    match method:
        case QuantizationMethod.SPARSE_NATIVE:
            return 1 - cosine_similarity(value.weights, kept.weights) <= 1e-6
        case QuantizationMethod.BINARY:
            return np.array_equal(kept, np.where(value >= 0, 1, -1))
        case QuantizationMethod.TOKEN_PRUNING:
            codec = store.router.codec(model_id, step=0)
            positions = codec.positions(store.quantized(record_id, model_id))
            pairs = zip(value[positions], kept, strict=True)
            return all(cosine_similarity(*pair) > 1 - method.max_recall_loss() for pair in pairs)
        case _:
            return cosine_similarity(value, kept) > 1 - 2 * method.max_recall_loss()


def test_it_quant_003_similarity_search_quantized(store):
    memories = {uuid.uuid4(): Fingerprint(fingerprint(seed)) for seed in range(100)}
    for record_id, memory in memories.items():
        store.store(record_id, memory)
    first = next(iter(memories))
    hits = store.search(memories[first], k=10)
    assert len(hits) == 10
    assert hits[0].id == first
    assert hits[0].similarity > 0.99
