"""The seeds' encoders: each embedder to its method, codebooks when they are needed."""

import pickle

import numpy as np
import pytest

from cgcython import (
    BinaryEncoder,
    Float8E4M3Encoder,
    ModelId,
    PQ8Codebook,
    PQ8Encoder,
    Profile,
    QuantizationMethod,
    RecallLoss,
    SparseNativeEncoder,
    SparseVector,
    TokenEmbeddings,
    TokenPruningEncoder,
)
from cgcython.embedders import Codebooks
from cgcython.errors import (
    CodebookCorrupt,
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    InvalidQuantizedData,
    MethodMismatch,
    NonFiniteValue,
    SparseTooDense,
)
from cgcython.metadata import Float8Metadata
from cgcython.records import QuantizedEmbedding

RNG = np.random.default_rng(13)
PQ8, HDC, GRAPH = QuantizationMethod.PQ8, ModelId.HDC, ModelId.GRAPH
SMALL = Profile.from_toml(
    """
    E1 = { dimension = 16, method = "pq8" }
    E5 = { dimension = 24, method = "pq8" }
    E9 = { dimension = 40, method = "binary" }
    """
)


def codebook(dim, seed=0):
    centroids = np.random.default_rng(seed).standard_normal((8, 256, dim // 8))
    return PQ8Codebook(centroids.astype(np.float32))


BOOKS = {ModelId.SEMANTIC: codebook(16), ModelId.CAUSAL: codebook(24)}
ENCODERS = [
    Float8E4M3Encoder(),
    BinaryEncoder(),
    SparseNativeEncoder(),
    TokenPruningEncoder(),
    PQ8Encoder({one: codebook(one.dimension()) for one in Profile.named() if
                QuantizationMethod.for_embedder(one) is PQ8}),
]  # fmt: skip


def embedding(model_id):
    dim, method = model_id.dimension(), QuantizationMethod.for_embedder(model_id)
    if method is QuantizationMethod.SPARSE_NATIVE:
        return SparseVector(RNG.choice(dim, 50, replace=False), RNG.random(50), dim)
    shape = (9, dim) if method is QuantizationMethod.TOKEN_PRUNING else dim
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("model_id", ModelId)
@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: one.method)
def test_every_embedder_has_one_encoder(encoder, model_id):
    value = embedding(model_id)
    if QuantizationMethod.for_embedder(model_id) is not encoder.method:
        with pytest.raises(MethodMismatch, match=f"{model_id.label}: expected {encoder.method}"):
            encoder.quantize(model_id, value)
        return
    quantized = encoder.quantize(model_id, value)
    assert quantized.method is encoder.method
    assert quantized.original_dim == model_id.dimension()
    count = 50 if isinstance(value, SparseVector) else 9
    assert encoder.expected_size(model_id, count) == quantized.size_bytes
    assert np.shape(getattr(encoder.dequantize(quantized), "weights", value))


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: one.method)
def test_a_record_of_another_method_is_refused(encoder):
    other = next(one for one in QuantizationMethod if one is not encoder.method)
    with pytest.raises(MethodMismatch):
        encoder.dequantize(QuantizedEmbedding(other, 8, b"12345678", Float8Metadata(1.0)))


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda one: one.method)
@pytest.mark.parametrize("record", [None, b"bytes", 5])
def test_only_records_are_decoded(encoder, record):
    with pytest.raises(MethodMismatch, match=type(record).__name__):
        encoder.dequantize(record)


@pytest.mark.parametrize("dim", [None, "x", 0, -1, 1.5])
@pytest.mark.parametrize("encoder", ENCODERS[:4], ids=lambda one: one.method)
def test_records_of_no_dimension_are_refused(encoder, dim):
    with pytest.raises(InvalidQuantizedData, match="original_dim is"):
        encoder.dequantize(QuantizedEmbedding(encoder.method, dim, b"12", Float8Metadata(1.0)))


@pytest.mark.parametrize("model_id", ["E6", "E12"])
@pytest.mark.parametrize("count", [-1, 1.5, "x", True])
def test_sizes_are_those_of_a_number_of_things(model_id, count):
    encoder = SparseNativeEncoder() if model_id == "E6" else TokenPruningEncoder()
    with pytest.raises(InvalidInput, match="count: expected 0 or more"):
        encoder.expected_size(model_id, count)
    assert encoder.expected_size(model_id, np.int64(0)) == 4


def test_too_many_non_zeros_have_no_size():
    assert SparseNativeEncoder().expected_size("E6", 3052) == 4 + 8 * 3052
    with pytest.raises(SparseTooDense):
        SparseNativeEncoder().expected_size("E6", 3053)


def test_a_size_needs_no_codebook():
    assert [PQ8Encoder().expected_size(one) for one in ("E1", "E5", "E7", "E10")] == [8] * 4
    assert PQ8Encoder(BOOKS).expected_size("E1") == 8


@pytest.mark.parametrize("codebooks", [5, [1], {"E1": None}, {"E1": "models"}])
def test_codebooks_are_codebooks(codebooks):
    with pytest.raises(InvalidInput, match="codebook"):
        PQ8Encoder(codebooks)


def test_embedders_may_be_named_in_any_spelling():
    value = embedding(GRAPH)
    expected = Float8E4M3Encoder().quantize(GRAPH, value)
    for name in ("E8", "graph", "E8_Graph", 7):
        assert Float8E4M3Encoder().quantize(name, value) == expected


def test_errors_name_the_embedder():
    with pytest.raises(DimensionMismatch) as refusal:
        BinaryEncoder().quantize("E9", np.ones(3))
    assert refusal.value.model_id is HDC
    with pytest.raises(NonFiniteValue, match="E8 Graph: value 5 is nan"):
        Float8E4M3Encoder().quantize_batch(GRAPH, np.where(np.arange(384) == 5, np.nan, [[1.0]]))


def test_profiles_change_dimensions():
    assert Float8E4M3Encoder("contextgraph-2026").quantize(GRAPH, np.ones(1024)).size_bytes == 1024
    assert BinaryEncoder(profile=SMALL).quantize(HDC, np.ones(40)).size_bytes == 5


def test_records_of_any_dimension_decode():
    quantized = Float8E4M3Encoder("contextgraph-2026").quantize(GRAPH, np.ones(1024))
    assert Float8E4M3Encoder().dequantize(quantized).shape == (1024,)


def test_decoding_fills_memory_of_the_caller():
    value, out = embedding(GRAPH), np.empty(384, np.float32)
    encoder = Float8E4M3Encoder()
    assert encoder.dequantize(encoder.quantize(GRAPH, value), out) is out


def test_batches_hold_the_same_records():
    rows = RNG.standard_normal((5, 384))
    encoder = Float8E4M3Encoder()
    batch = encoder.quantize_batch(GRAPH, rows, num_threads=2)
    assert encoder.codec(GRAPH).row(batch, 3) == encoder.quantize(GRAPH, rows[3])
    decoded = encoder.dequantize_batch(batch, num_threads=2)
    np.testing.assert_array_equal(decoded[3], encoder.dequantize(encoder.quantize(GRAPH, rows[3])))


def test_the_loss_is_a_mean_with_a_maximum():
    rows = [[1.0, *[0.0] * 383], RNG.standard_normal(384)]
    loss = Float8E4M3Encoder().measure_recall_loss(GRAPH, rows)
    assert 0 < loss.maximum < 0.003
    assert loss == pytest.approx(loss.maximum / 2)
    assert isinstance(loss, float)


def test_the_loss_survives_pickling():
    loss = pickle.loads(pickle.dumps(RecallLoss(0.25, maximum=0.5)))
    assert (loss, loss.maximum) == (0.25, 0.5)


def test_nothing_has_no_loss():
    with pytest.raises(InvalidInput, match="at least one"):
        Float8E4M3Encoder().measure_recall_loss(GRAPH, [])


def test_distances_belong_to_the_binary_encoder():
    encoder = BinaryEncoder(threshold=0.5)
    quantized = encoder.quantize(HDC, np.linspace(0, 1, 1024))
    assert quantized.metadata.threshold == 0.5
    assert encoder.hamming_distance(quantized.data, bytes(128)) == 512
    assert BinaryEncoder.binary_similarity(quantized.data, bytes(128), 1024) == 0.5


@pytest.mark.parametrize("make", [lambda: BinaryEncoder(np.nan), lambda: TokenPruningEncoder(0)])
def test_useless_settings_are_refused_at_once(make):
    with pytest.raises(InvalidInput):
        make()


def test_tokens_may_come_in_any_form():
    tokens, encoder = embedding(ModelId.LATE_INTERACTION), TokenPruningEncoder()
    expected = encoder.quantize(ModelId.LATE_INTERACTION, tokens)
    for form in (tokens.tolist(), TokenEmbeddings(tokens), list(tokens), tokens.astype("f8")):
        assert encoder.quantize(ModelId.LATE_INTERACTION, form) == expected
    assert encoder.dequantize(expected).shape == (5, 128)


def test_codes_decode_with_the_codebook_that_made_them():
    encoder = PQ8Encoder(BOOKS, SMALL)
    for model_id, book in BOOKS.items():
        value = RNG.standard_normal(book.embedding_dim)
        quantized = encoder.quantize(model_id, value)
        assert quantized.metadata.codebook_id == book.codebook_id
        np.testing.assert_array_equal(
            encoder.dequantize(quantized), book.dequantize(book.quantize(value))
        )
    batch = encoder.quantize_batch(ModelId.CAUSAL, RNG.standard_normal((3, 24)))
    assert encoder.dequantize_batch(batch).shape == (3, 24)


def test_codes_of_an_unknown_codebook_are_refused():
    other = PQ8Encoder({ModelId.SEMANTIC: codebook(16, seed=5)}, SMALL)
    quantized = other.quantize(ModelId.SEMANTIC, np.ones(16))
    encoder = PQ8Encoder(BOOKS, SMALL)
    with pytest.raises(CodebookMissing, match="which made these codes, is not at hand"):
        encoder.dequantize(quantized)
    encoder.codebooks.add(other.codebooks[ModelId.SEMANTIC])
    np.testing.assert_array_equal(encoder.dequantize(quantized), other.dequantize(quantized))


def test_codes_that_name_no_codebook_are_refused():
    hostile = QuantizedEmbedding(PQ8, 16, b"12345678", Float8Metadata(1.0))
    with pytest.raises(InvalidQuantizedData, match="it names no codebook"):
        PQ8Encoder(BOOKS, SMALL).dequantize(hostile)


def test_a_folder_with_too_long_a_name_has_no_codebooks():
    with pytest.raises(CodebookMissing):
        PQ8Encoder("x" * 5000, SMALL).quantize(ModelId.SEMANTIC, np.ones(16))


def test_codebooks_are_loaded_when_first_asked_for(tmp_path):
    encoder = PQ8Encoder(tmp_path, SMALL)
    with pytest.raises(CodebookMissing) as refusal:
        encoder.quantize(ModelId.SEMANTIC, np.ones(16))
    path = tmp_path / "pq8_codebooks" / "Semantic_codebook.safetensors"
    assert refusal.value.path == path
    assert "cgcython train" in str(refusal.value)
    BOOKS[ModelId.SEMANTIC].save(path)
    assert list(encoder.codebooks) == [ModelId.SEMANTIC]
    quantized = encoder.quantize(ModelId.SEMANTIC, np.ones(16))
    path.unlink()
    assert encoder.quantize(ModelId.SEMANTIC, np.ones(16)) == quantized


def test_a_codebook_is_found_by_its_id_in_the_files(tmp_path):
    encoder = PQ8Encoder(str(tmp_path), SMALL)
    quantized = PQ8Encoder(BOOKS, SMALL).quantize(ModelId.CAUSAL, np.ones(24))
    BOOKS[ModelId.CAUSAL].save(encoder.codebooks.path(ModelId.CAUSAL))
    assert encoder.dequantize(quantized).shape == (24,)


def test_all_codebooks_can_be_asked_for_at_once(tmp_path):
    encoder = PQ8Encoder(tmp_path, SMALL)
    BOOKS[ModelId.SEMANTIC].save(encoder.codebooks.path(ModelId.SEMANTIC))
    with pytest.raises(CodebookMissing, match="E5 Causal"):
        encoder.require_all()
    BOOKS[ModelId.CAUSAL].save(encoder.codebooks.path(ModelId.CAUSAL))
    encoder.require_all()
    assert list(encoder.codebooks) == list(BOOKS)


def test_a_codebook_file_of_another_dimension_is_refused(tmp_path):
    codebooks = Codebooks(tmp_path, SMALL)
    BOOKS[ModelId.CAUSAL].save(codebooks.path(ModelId.SEMANTIC))
    with pytest.raises(DimensionMismatch, match="expected 16"):
        codebooks[ModelId.SEMANTIC]


def test_a_codebook_of_another_embedder_is_refused(tmp_path):
    book = BOOKS[ModelId.SEMANTIC].with_facts({"model": "Semantic"})
    with pytest.raises(InvalidInput, match=r"codebook of E5 Causal: .* trained for E1 Semantic"):
        Codebooks({"E5": book})
    codebooks = Codebooks(tmp_path, SMALL)
    book.with_facts({"model": "Causal"}).save(codebooks.path(ModelId.SEMANTIC))
    with pytest.raises(InvalidInput, match=r"codebook of E1 Semantic: .* trained for E5 Causal"):
        codebooks[ModelId.SEMANTIC]


@pytest.mark.parametrize("model", ["Semantic", "E1", "", "all-MiniLM-L6-v2"])
def test_a_codebook_serves_its_own_embedder_or_any(model):
    book = BOOKS[ModelId.SEMANTIC].with_facts({"model": model})
    assert Codebooks({"E1": book})[ModelId.SEMANTIC] is book


def test_a_damaged_codebook_file_is_refused(tmp_path):
    codebooks = Codebooks(tmp_path, SMALL)
    path = codebooks.path(ModelId.SEMANTIC)
    BOOKS[ModelId.SEMANTIC].save(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CodebookCorrupt):
        codebooks[ModelId.SEMANTIC]


def test_a_codebook_in_hand_brings_its_dimension_unless_a_profile_is_given():
    assert PQ8Encoder(BOOKS).quantize(ModelId.SEMANTIC, np.ones(16)).size_bytes == 8
    with pytest.raises(DimensionMismatch, match="E1 Semantic: expected 1024"):
        PQ8Encoder(BOOKS, "default")


def test_without_codebooks_nothing_is_made_up():
    with pytest.raises(CodebookMissing, match="E1 Semantic: no codebook at models"):
        PQ8Encoder().quantize(ModelId.SEMANTIC, np.ones(1024))


def test_encoders_survive_pickling():
    for encoder in ENCODERS:
        assert type(pickle.loads(pickle.dumps(encoder))) is type(encoder)
