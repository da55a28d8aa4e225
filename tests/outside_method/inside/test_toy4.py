"""What the package's own methods do, the method of another package does too."""

import json
import pickle
from uuid import UUID

import numpy as np
import pytest
from cgtoy import Toy4Codec, Toy4Metadata

from cgcython import Fingerprint, FingerprintStore, ModelId, Profile, QuantizationMethod
from cgcython.codecs.base import codec_class
from cgcython.errors import InvalidQuantizedData, MethodMismatch, StorageCorruption
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.records import QuantizedEmbedding
from cgcython.router import QuantizationRouter

TOY4, E1, E9 = QuantizationMethod("toy4"), ModelId.SEMANTIC, ModelId.HDC
PROFILE = Profile.from_toml(
    'E1 = { dimension = 21, method = "toy4" }\nE9 = { dimension = 40, method = "binary" }'
)
RNG = np.random.default_rng(4)
ROWS = RNG.standard_normal((30, 21)).astype(np.float32)
IDS = [UUID(int=i + 1) for i in range(len(ROWS))]


def memory(i):
    return Fingerprint({E1: ROWS[i], E9: np.resize(ROWS[i], 40)})


@pytest.fixture
def path(tmp_path):
    with FingerprintStore.open(tmp_path / "s", profile=PROFILE) as store:
        store.store_many(list(zip(IDS, map(memory, range(len(ROWS))))))
    return tmp_path / "s"


def test_it_is_a_method_like_others():
    assert codec_class(TOY4) is codec_class("toy4") is Toy4Codec
    assert (TOY4.compression_ratio(), TOY4.max_recall_loss()) == (8.0, 0.02)
    assert pickle.loads(pickle.dumps(TOY4)) is QuantizationMethod.add("toy4") is TOY4
    assert TOY4 not in list(QuantizationMethod)


def test_a_profile_keeps_its_name():
    assert Profile.from_toml(PROFILE.to_toml()) == PROFILE
    assert repr(PROFILE) == "Profile(E1 toy4 21, E9 binary 40)"


def test_codecs_are_equal_by_their_configuration():
    codec = Toy4Codec.for_row(PROFILE[E1])
    assert codec == Toy4Codec(21) == pickle.loads(pickle.dumps(codec))
    assert codec.config == {"dim": 21}


def test_a_batch_holds_what_single_embeddings_are():
    codec = Toy4Codec(21)
    batch = codec.encode_batch(ROWS)
    assert codec.rows(batch) == [codec.encode(row) for row in ROWS]
    decoded = codec.decode_batch(batch)
    for row, one in zip(ROWS, decoded):
        np.testing.assert_array_equal(codec.decode(codec.encode(row)), one)
        assert codec.loss(row, one) < TOY4.max_recall_loss()


def test_bytes_and_json_bring_it_back():
    quantized = Toy4Codec(21).encode(ROWS[0])
    assert QuantizedEmbedding.from_bytes(quantized.to_bytes()) == quantized
    assert Toy4Metadata(**json.loads(json.dumps(quantized.metadata._asdict()))) == (
        quantized.metadata
    )
    assert (quantized.size_bytes, quantized.original_bytes) == (11, 84)


def test_the_router_counts_samples_and_measures_it():
    router = QuantizationRouter(profile=PROFILE, sample_every=1)
    batch = router.quantize_batch(E1, ROWS)
    assert router.dequantize(router.quantize(E1, ROWS[3])) == pytest.approx(
        router.dequantize_batch(batch)[3]
    )
    assert router.expected_size(E1) == 11
    assert 0 < router.measure_recall_loss(E1, ROWS) < 0.02
    assert router.metrics()["loss"][E1] < 0.02
    with pytest.raises(MethodMismatch):
        router.encoders[TOY4].quantize(E9, ROWS[0])


def test_a_fingerprint_keeps_it(path):
    record = memory(0).encode(QuantizationRouter(profile=PROFILE))
    assert QuantizedFingerprint.from_bytes(record.to_bytes()) == record


def test_a_store_that_is_opened_again_has_its_embeddings(path):
    with FingerprintStore.open(path) as store:
        assert store.profile == PROFILE
        for i, name in enumerate(IDS):
            found = store.retrieve(name)[E1]
            assert 1 - np.dot(found, ROWS[i]) / np.linalg.norm(found) / np.linalg.norm(ROWS[i]) < (
                0.02
            )
        assert store.delete(IDS[0])
        assert store.retrieve(IDS[0]) is None


def test_each_record_is_nearest_to_itself(path):
    with FingerprintStore.open(path) as store:
        for metric in ("cosine", "dot"):
            for embedders in ([E1], [E1, E9]):
                found = store.search(memory(7), k=3, embedders=embedders, metric=metric)
                assert found[0].id == IDS[7]
                assert found[0].similarity > 0.99


def test_columns_kept_in_files_give_the_same_hits(path):
    with FingerprintStore.open(path) as store:
        before = store.search(memory(5), k=10)
        saved = store.save_columns()
    assert any(one.name == "E1.safetensors" for one in saved)
    with FingerprintStore.open(path, read_only=True) as store:
        assert store.search(memory(5), k=10) == before
        assert store.search(memory(5), k=10, approximate=True)[0].id == IDS[5]


def spoil(path, change):
    """Change the stored section of one embedding."""
    with FingerprintStore.open(path) as store:
        key = bytes([E1]) + IDS[3].bytes
        store._keeper.files.write(
            [("sections", key, change(store._keeper.files.get("sections", key)))]
        )


def test_a_damaged_section_is_found_and_named(path):
    spoil(path, lambda section: section[:-6] + bytes([section[-6] ^ 1]) + section[-5:])
    with FingerprintStore.open(path) as store:
        with pytest.raises(StorageCorruption, match=str(IDS[3])):
            store.verify()
        with pytest.raises(StorageCorruption) as refusal:
            store.search(memory(5), embedders=[E1])
        assert refusal.value.ids == (IDS[3],)
        assert store.retrieve(IDS[4]) is not None


def test_bytes_that_no_encoder_wrote_are_refused():
    whole = Toy4Codec(21).encode(ROWS[0])
    for data in (bytes(11), whole.data[:-1], b""):
        hostile = QuantizedEmbedding(TOY4, 21, data, whole.metadata)
        with pytest.raises(InvalidQuantizedData):
            QuantizationRouter().dequantize(hostile)
