"""The router sends every embedder to its method, counts what passes and samples its loss."""

import pickle
import threading

import numpy as np
import pytest
from tensor_stand_in import BFLOAT16, Tensor, needing_gradient

from cgcython import (
    DriftWarning,
    Fingerprint,
    ModelId,
    PQ8Codebook,
    Profile,
    QuantizationMethod,
    QuantizationRouter,
    SparseVector,
)
from cgcython.errors import (
    CodebookMissing,
    DimensionMismatch,
    InvalidInput,
    MethodMismatch,
    NonFiniteValue,
)
from cgcython.metadata import BinaryMetadata, Float8Metadata
from cgcython.records import QuantizedEmbedding

RNG = np.random.default_rng(14)
HDC, GRAPH, TOKENS = ModelId.HDC, ModelId.GRAPH, ModelId.LATE_INTERACTION
BOOKS = {
    one: PQ8Codebook(RNG.standard_normal((8, 256, one.dimension() // 8)).astype(np.float32))
    for one in ModelId
    if QuantizationMethod.for_embedder(one) is QuantizationMethod.PQ8
}


def embedding(model_id):
    dim, method = model_id.dimension(), QuantizationMethod.for_embedder(model_id)
    if method is QuantizationMethod.SPARSE_NATIVE:
        return SparseVector(RNG.choice(dim, 50, replace=False), RNG.random(50), dim)
    shape = (9, dim) if method is QuantizationMethod.TOKEN_PRUNING else dim
    return RNG.standard_normal(shape).astype(np.float32)


FINGERPRINTS = [{one: embedding(one) for one in ModelId} for _ in range(3)]


@pytest.fixture
def router():
    return QuantizationRouter(BOOKS)


@pytest.mark.parametrize("model_id", ModelId)
def test_every_embedder_has_its_method(router, model_id):
    value = embedding(model_id)
    quantized = router.quantize(model_id, value)
    assert quantized.method is QuantizationMethod.for_embedder(model_id)
    assert quantized == router.encoders[quantized.method].quantize(model_id, value)
    count = value.nnz if isinstance(value, SparseVector) else 9
    assert router.expected_size(model_id, count) == quantized.size_bytes
    assert getattr(quantized.metadata, "layout", "canonical") == "canonical"


@pytest.mark.parametrize("model_id", ModelId)
def test_dequantizes_what_it_quantized(router, model_id):
    quantized = router.quantize(model_id, embedding(model_id))
    decoded = router.dequantize(quantized)
    expected = router.encoders[quantized.method].dequantize(quantized)
    if isinstance(decoded, SparseVector):
        assert decoded == expected
    else:
        np.testing.assert_array_equal(decoded, expected)


def test_decodes_into_memory_the_caller_has(router):
    out = np.empty(384, np.float32)
    assert router.dequantize(router.quantize(GRAPH, embedding(GRAPH)), out) is out


@pytest.mark.parametrize(
    ("model_id", "value", "error"),
    [
        (GRAPH, np.ones(383), DimensionMismatch),
        (HDC, np.full(1024, np.inf), NonFiniteValue),
        (TOKENS, np.ones((3, 127)), DimensionMismatch),
        (ModelId.SPLADE, np.ones(30522), InvalidInput),
        (ModelId.SPARSE, SparseVector([1], [1], 100), DimensionMismatch),
    ],
)
def test_errors_name_the_embedder(router, model_id, value, error):
    for quantize in (router.quantize, lambda one, x: router.quantize_fingerprint({one: x})):
        with pytest.raises(error) as refusal:
            quantize(model_id, value)
        assert refusal.value.model_id is model_id
        assert model_id.label in str(refusal.value)


def test_no_codebook_means_no_codes():
    with pytest.raises(CodebookMissing):
        QuantizationRouter().quantize(ModelId.CODE, np.ones(1536))
    with pytest.raises(CodebookMissing):
        QuantizationRouter().require_all()
    QuantizationRouter(BOOKS).require_all()


def test_a_record_decodes_by_its_method_alone(router):
    quantized = QuantizedEmbedding(
        QuantizationMethod.FLOAT8_E4M3, 3, b"\x38\x38\x40", Float8Metadata(0.5)
    )
    np.testing.assert_array_equal(router.dequantize(quantized), [0.5, 0.5, 1.0])


@pytest.mark.parametrize("record", [None, b"bytes", "text", Fingerprint({})])
def test_only_records_are_decoded(router, record):
    with pytest.raises(InvalidInput, match="quantized: expected a QuantizedEmbedding"):
        router.dequantize(record)


@pytest.mark.parametrize("method", [None, "binary", 5])
def test_a_record_of_no_method_is_refused(router, method):
    record = QuantizedEmbedding(method, 8, b"\x01", BinaryMetadata())
    with pytest.raises(MethodMismatch, match="expected a QuantizationMethod"):
        router.dequantize(record)


def test_tensors_are_sampled_and_measured_too():
    ones = np.ones((2, 384), np.float32)
    for rows in (Tensor(ones.astype(BFLOAT16)), needing_gradient(ones)):
        router = QuantizationRouter(sample_every=1)
        router.quantize(GRAPH, rows[0])
        router.quantize_batch(GRAPH, rows)
        assert router.metrics()["loss"][GRAPH] < 1e-6
        assert router.measure_recall_loss(GRAPH, rows) < 1e-6


def test_a_profile_of_the_user_is_another_table():
    profile = Profile.from_toml('E9 = { dimension = 64, method = "float8_e4m3" }')
    router = QuantizationRouter(profile=profile)
    assert router.quantize(HDC, np.ones(64)).method is QuantizationMethod.FLOAT8_E4M3
    with pytest.raises(InvalidInput, match="one of the profile's E9"):
        router.quantize(GRAPH, np.ones(384))


def test_a_fingerprint_is_encoded_in_compact_layouts(router):
    quantized = router.quantize_fingerprint(FINGERPRINTS[0])
    assert list(quantized) == list(ModelId)
    layouts = {one: getattr(quantized[one].metadata, "layout", None) for one in quantized}
    assert layouts[TOKENS] == "compact_int4_f16"
    assert layouts[ModelId.SPLADE] == layouts[ModelId.SPARSE] == "compact_f16"
    for one, record in quantized.items():
        if layouts[one] is None:
            assert record == router.quantize(one, FINGERPRINTS[0][one])


def test_a_fingerprint_decodes_to_the_same_embedders(router):
    quantized = router.quantize_fingerprint(FINGERPRINTS[0])
    decoded = router.dequantize_fingerprint(quantized)
    assert list(decoded) == list(ModelId)
    weights = FINGERPRINTS[0][ModelId.SPLADE].weights
    np.testing.assert_allclose(decoded[ModelId.SPLADE].weights, weights, rtol=2**-11)
    assert decoded[TOKENS].shape == (9, 128)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_fingerprints_in_a_batch_are_the_same(router, num_threads):
    partial = [FINGERPRINTS[0], {HDC: embedding(HDC)}, {}, *FINGERPRINTS[1:]]
    quantized = router.quantize_fingerprints(partial, num_threads)
    assert quantized == [router.quantize_fingerprint(one) for one in partial]
    decoded = router.dequantize_fingerprints(quantized)
    assert [list(one) for one in decoded] == [list(one) for one in partial]


def test_batches_hold_the_same_records(router):
    rows = RNG.standard_normal((600, 384)).astype(np.float32)
    batch = router.quantize_batch(GRAPH, rows, num_threads=2)
    decoded = router.dequantize_batch(batch)
    np.testing.assert_array_equal(decoded[7], router.dequantize(router.quantize(GRAPH, rows[7])))


def test_the_columns_of_another_batch_are_reused(router):
    rows = RNG.standard_normal((2, 5, 384)).astype(np.float32)
    out = router.quantize_batch(GRAPH, rows[0])
    batch = router.quantize_batch(GRAPH, rows[1], out=out)
    assert batch.columns["codes"] is out.columns["codes"]
    np.testing.assert_array_equal(
        router.dequantize_batch(batch)[0], router.dequantize(router.quantize(GRAPH, rows[1, 0]))
    )


def test_measures_the_loss_of_any_embedder(router):
    assert 0 < router.measure_recall_loss(GRAPH, [embedding(GRAPH)]).maximum < 0.003
    assert router.measure_recall_loss(ModelId.SPLADE, [embedding(ModelId.SPLADE)]) < 1e-9
    assert router.measure_recall_loss("E12", [embedding(TOKENS)]) > 0


def test_counts_what_passes(router):
    for _ in range(3):
        quantized = router.quantize(GRAPH, embedding(GRAPH))
    router.quantize_batch(GRAPH, np.ones((5, 384)))
    router.quantize_fingerprint({GRAPH: embedding(GRAPH), HDC: embedding(HDC)})
    router.dequantize(quantized)
    metrics = router.metrics()
    assert metrics["encoded"] == {GRAPH: 9, HDC: 1}
    assert metrics["decoded"] == {QuantizationMethod.FLOAT8_E4M3: 1}


def test_a_refused_embedding_is_not_counted(router):
    with pytest.raises(DimensionMismatch):
        router.quantize(GRAPH, [1.0])
    assert router.metrics()["encoded"] == {GRAPH: 0}


def test_samples_the_loss_of_one_in_so_many():
    router, seen = QuantizationRouter(sample_every=4), []
    router._route(GRAPH).codec.__dict__["loss"] = lambda *_: seen.append(1) or 0.5
    for count in (4, 1, 7, 4):
        router.quantize_batch(GRAPH, np.ones((count, 384)))
    for _ in range(4):
        router.quantize(GRAPH, np.ones(384))
    assert len(seen) == 20 // 4
    assert router.metrics()["loss"][GRAPH] == router.metrics()["loss"][GRAPH].maximum == 0.5


def test_sampled_losses_are_the_measured_ones():
    router = QuantizationRouter(sample_every=1)
    rows = RNG.standard_normal((9, 384))
    for row in rows:
        router.quantize(GRAPH, row)
    measured, sampled = router.measure_recall_loss(GRAPH, rows), router.metrics()["loss"][GRAPH]
    assert sampled == pytest.approx(measured)
    assert sampled.maximum == measured.maximum


def test_sampling_can_be_switched_off():
    router = QuantizationRouter(sample_every=0)
    router.quantize(GRAPH, embedding(GRAPH))
    router.quantize_batch(GRAPH, np.ones((5, 384)))
    assert router.metrics()["loss"] == {}
    with pytest.raises(InvalidInput, match="sample_every"):
        QuantizationRouter(sample_every=-1)


CENTRES = RNG.standard_normal((256, 1024)).astype(np.float32)
WATCHED = PQ8Codebook(CENTRES.reshape(256, 8, 128).swapaxes(0, 1), metadata={"held_out_loss": 0.1})


def test_embeddings_unlike_those_of_training_are_told_once():
    router = QuantizationRouter({ModelId.SEMANTIC: WATCHED}, sample_every=1)
    noise = RNG.standard_normal((100, 1024)).astype(np.float32)
    told = r"E1 .* 64 sampled .* training measured 10\.00%"
    with pytest.warns(DriftWarning, match=told) as seen:
        [router.quantize(ModelId.SEMANTIC, row) for row in noise]
    assert len(seen) == 1


def test_embeddings_like_those_of_training_pass_in_silence(recwarn):
    router = QuantizationRouter({ModelId.SEMANTIC: WATCHED}, sample_every=1)
    router.quantize_batch(ModelId.SEMANTIC, CENTRES[:100])
    for row in CENTRES:
        router.quantize(ModelId.SEMANTIC, row)
    assert not recwarn


def test_threads_share_a_router(router):
    values = RNG.standard_normal((64, 384)).astype(np.float32)
    expected = [router.quantize(GRAPH, value) for value in values]
    wrong = []

    def work():
        for value, record in zip(values, expected):
            if router.quantize(GRAPH, value) != record:
                wrong.append(record)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert router.metrics()["encoded"][GRAPH] == 64 * 5


def test_a_router_shows_its_profile_and_codebooks():
    profile = Profile.from_toml('E9 = { dimension = 64, method = "binary" }')
    assert repr(QuantizationRouter(profile=profile)) == (
        "QuantizationRouter(Profile(E9 binary 64), codebooks=0)"
    )
    assert repr(QuantizationRouter(BOOKS)).endswith("30522), codebooks=4)")


def test_a_router_survives_pickling(router):
    value = embedding(ModelId.CODE)
    twin = pickle.loads(pickle.dumps(router))
    assert twin.quantize(ModelId.CODE, value) == router.quantize(ModelId.CODE, value)


def test_another_methods_record_is_no_fingerprint_part(router):
    record = router.quantize(HDC, embedding(HDC))
    with pytest.raises(MethodMismatch):
        router.encoders[QuantizationMethod.PQ8].dequantize(record)


@pytest.mark.parametrize("model_id", ModelId)
@pytest.mark.parametrize("size", [0, 1e-45, 1e-38, 1e-18, 1e18, 3e38])
def test_measuring_never_stands_in_the_way_of_encoding(model_id, size):
    router = QuantizationRouter(BOOKS, sample_every=1)
    value = embedding(model_id)
    if isinstance(value, SparseVector):
        value = SparseVector(value.indices, np.float32(value.weights * size), value.dimension)
    else:
        value = np.clip(value / 4, -1, 1) * np.float32(size)
    for record in (
        router.quantize(model_id, value),
        router.quantize_fingerprint({model_id: value})[model_id],
    ):
        decoded = router.dequantize(record)
        assert np.isfinite(getattr(decoded, "weights", decoded)).all()
    assert 0 <= router.metrics()["loss"][model_id].maximum <= 1.5


def test_threads_that_encode_batches_miss_no_count_and_keep_sampling():
    router, rows = QuantizationRouter(), np.ones((700, 384), np.float32)

    def work():
        for size in (700, 300, 40, 10, 500, 7, 33) * 3:
            router.quantize_batch(GRAPH, rows[:size])
            router.quantize(GRAPH, rows[0])

    run_in_threads(work, 8)
    encoded = 8 * 3 * (700 + 300 + 40 + 10 + 500 + 7 + 33 + 7)
    assert router.metrics()["encoded"] == {GRAPH: encoded}
    before = router._routes[GRAPH].samples
    for _ in range(2560):
        router.quantize(GRAPH, rows[0])
    assert router._routes[GRAPH].samples == before + 10


def test_columns_that_cannot_be_sampled_do_not_end_sampling():
    router = QuantizationRouter(sample_every=4)
    indptr = np.array([0, 1, 2, 3])
    columns = indptr, np.array([1, 2, 3], np.uint32), np.ones(3, np.float32), 30522
    for _ in range(3):
        router.quantize_batch(ModelId.SPARSE, columns)
    assert router._routes[ModelId.SPARSE].samples == 0
    for _ in range(8):
        router.quantize(ModelId.SPARSE, SparseVector([1], [1.0], 30522))
    assert router._routes[ModelId.SPARSE].samples == 2


def run_in_threads(work, count):
    """Run a function on some threads and raise the first error of one."""
    errors = []

    def guarded():
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


NAMELESS = [[], {}, set(), np.zeros(3), memoryview(bytearray(3)), None, 5.5, "E99", 99, -1]


@pytest.mark.parametrize("name", NAMELESS, ids=lambda name: type(name).__name__)
def test_what_names_no_embedder_is_refused_hashable_or_not(name):
    router = QuantizationRouter()
    values = [1.0] * 1024
    for call in (
        lambda: router.quantize(name, values),
        lambda: router.quantize_batch(name, [values]),
        lambda: router.quantize_batch(name, [values], compact=True),
        lambda: router.expected_size(name),
        lambda: router.measure_recall_loss(name, [values]),
        lambda: router.encoders[QuantizationMethod.BINARY].quantize(name, values),
        lambda: router.encoders[QuantizationMethod.BINARY].compact_codec(name),
        lambda: router.profile[name],
    ):
        with pytest.raises(InvalidInput, match="embedder: expected"):
            call()


@pytest.mark.parametrize("step", [6, -1, 1.5, None, "0"])
def test_a_step_is_one_of_the_ladder(step):
    router = QuantizationRouter()
    for call in (
        lambda: router.quantize_fingerprint({ModelId.HDC: [1.0] * 1024}, step),
        lambda: router.quantize_batch("E9", [[1.0] * 1024], compact=True, step=step),
        lambda: router.encoders[QuantizationMethod.BINARY].compact_codec("E9", step),
    ):
        with pytest.raises(InvalidInput, match="step: expected 0 to 5"):
            call()


@pytest.mark.parametrize("other", [None, 5, [1.0], "x"])
def test_what_is_no_mapping_and_no_encoded_embedding_is_refused(other):
    router = QuantizationRouter()
    for call in (
        lambda: router.quantize_fingerprint(other),
        lambda: router.dequantize_fingerprint(other),
        lambda: router.quantize_fingerprints([other]),
        lambda: router.quantize_fingerprints(iter([])),
        lambda: router.steps_within(other, 100),
        lambda: router.dequantize_batch(other),
        lambda: router.dequantize(other),
    ):
        with pytest.raises(InvalidInput):
            call()


@pytest.mark.parametrize("text", [5, np.zeros(()), None])
def test_a_text_without_tokens_has_steps_and_encoding_refuses_it(text):
    router = QuantizationRouter()
    assert next(iter(router.steps_within({ModelId.LATE_INTERACTION: text}, 20_000))) == 0
    with pytest.raises((InvalidInput, DimensionMismatch)):
        router.quantize_fingerprint({ModelId.LATE_INTERACTION: text})


def test_there_are_as_many_steps_as_fingerprints():
    one = {ModelId.HDC: [1.0] * 1024}
    with pytest.raises(InvalidInput, match="steps: expected 2, got 1"):
        QuantizationRouter().quantize_fingerprints([one, one], steps=[0])


def test_tokens_that_a_generator_refills_are_each_kept():
    texts = np.random.default_rng(0).standard_normal((3, 4, 128)).astype(np.float32)

    def refilled():
        buffer = np.empty((4, 128), np.float32)
        for text in texts:
            buffer[:] = text
            yield buffer

    router = QuantizationRouter()
    batch, expected = (router.quantize_batch("E12", one) for one in (refilled(), list(texts)))
    np.testing.assert_array_equal(batch.columns["data"], expected.columns["data"])
