"""Embedders that users name: encoded, recorded and decoded by their profile's rows."""

import numpy as np
import pytest

from cgcython import (
    Fingerprint,
    ModelId,
    PQ8Codebook,
    Profile,
    QuantizationRouter,
    QuantizedFingerprint,
    SparseVector,
    TokenPruningEncoder,
)
from cgcython.base import OwnEmbedder
from cgcython.codecs.token_pooling import pool_tokens
from cgcython.embedders import Codebooks
from cgcython.errors import CodebookMissing, InvalidInput, StorageCorruption

RNG = np.random.default_rng(7)
ROWS = {
    "title": {"dimension": 8, "method": "binary", "threshold": 0.5},
    "E9": {"dimension": 8, "method": "binary"},
    "body.v2": {"dimension": 8, "method": "float8_e4m3"},
    "words": {"dimension": 50, "method": "sparse_native"},
    "tokens": {"dimension": 8, "method": "token_pruning"},
}
X = RNG.standard_normal((20, 8)).astype(np.float32)
TOKENS = RNG.standard_normal((10, 8)).astype(np.float32)
MEMORY = {
    "words": SparseVector([3, 9], [0.5, 0.25], 50),
    "tokens": TOKENS,
    "body.v2": X[0],
    "title": X[0],
    "E9": X[0],
}


def router(row, **settings):
    return QuantizationRouter(profile={"one": row}, **settings)


def test_a_record_has_its_embedders_in_the_order_of_their_numbers():
    record = Fingerprint(MEMORY).encode(QuantizationRouter(profile=ROWS))
    assert [one.short for one in record] == ["E9", "title", "body.v2", "words", "tokens"]
    assert [int(one) for one in record] == [8, 32, 33, 34, 35]


def test_a_record_is_read_with_the_profile_that_numbers_its_embedders():
    router = QuantizationRouter(profile=ROWS)
    record = Fingerprint(MEMORY).encode(router)
    data = record.to_bytes()
    assert data[4] == 3
    found = QuantizedFingerprint.from_bytes(data, profile=router.profile)
    assert found == record
    assert found["body.v2"] == record[OwnEmbedder("body.v2")]
    np.testing.assert_array_equal(found.decode(router)["words"].indices, [3, 9])
    with pytest.raises(InvalidInput, match=r"the one that has the embedders \[8, 32"):
        QuantizedFingerprint.from_bytes(data)
    with pytest.raises(StorageCorruption, match="lists the embedders"):
        QuantizedFingerprint.from_bytes(data, profile=Profile.named())


def test_a_record_of_the_thirteen_alone_has_the_bytes_of_before():
    profile = Profile(ROWS)
    record = Fingerprint({"E9": X[0]}).encode(QuantizationRouter(profile=profile))
    assert record.to_bytes()[4] == 2
    assert QuantizedFingerprint.from_bytes(record.to_bytes()) == record


def test_a_record_takes_the_numbers_of_another_profile():
    record = Fingerprint(MEMORY).encode(QuantizationRouter(profile=ROWS))
    other = Profile(dict(reversed(ROWS.items())))
    moved = record.with_info(metadata={"kept": True}).numbered(other)
    assert [int(one) for one in moved] == [8, 32, 33, 34, 35]
    assert [one.short for one in moved][1:] == ["tokens", "words", "body.v2", "title"]
    assert moved.info.metadata == {"kept": True}
    assert QuantizedFingerprint.from_bytes(moved.to_bytes(), profile=other) == record
    assert moved.numbered(other) is moved


def test_batches_are_encoded_as_one_by_one():
    router = QuantizationRouter(profile=ROWS)
    alone = router.quantize_fingerprint(Fingerprint(MEMORY))
    for one in router.quantize_fingerprints([MEMORY, MEMORY]):
        assert list(one.items()) == list(alone.items())


def test_two_hundred_embedders_are_kept_in_one_record():
    rows = {f"model-{i}": {"dimension": 8, "method": "binary"} for i in range(200)}
    router = QuantizationRouter(profile=rows)
    memory = Fingerprint(dict.fromkeys(rows, X[0]))
    data = memory.encode(router, budget_bytes=None).to_bytes()
    assert list(QuantizedFingerprint.from_bytes(data, profile=router.profile)) == list(rows)


def test_an_unknown_name_is_told_with_the_row_for_the_embedding_that_came():
    router = QuantizationRouter(profile=ROWS)
    with pytest.raises(InvalidInput, match="the nearest is title") as refusal:
        Fingerprint({"titel": [1.0] * 5}).encode(router)
    assert 'titel = { dimension = 5, method = "float8_e4m3" }' in str(refusal.value)


@pytest.mark.parametrize(
    ("embedding", "row"),
    [
        (MEMORY["words"], 'dimension = 50, method = "sparse_native"'),
        (TOKENS, 'dimension = 8, method = "token_pruning", pruning_ratio = "auto"'),
        (X[0], 'dimension = 8, method = "float8_e4m3"'),
    ],
)
def test_the_row_to_add_suits_the_kind_of_embedding(embedding, row):
    with pytest.raises(InvalidInput, match=f"the row new = {{ {row} }}"):
        Fingerprint({"new": embedding}).encode(QuantizationRouter(profile=ROWS))


def test_a_binary_row_has_its_threshold():
    router = QuantizationRouter(profile=ROWS)
    assert router.quantize("title", [0.4, 0.6] * 4).data == b"\x55"
    assert router.quantize("E9", [0.4, 0.6] * 4).data == b"\xff"


@pytest.mark.parametrize(("ratio", "kept"), [(None, 10), ("auto", 10), (0.5, 5), (1, 10), (0.1, 1)])
def test_tokens_are_pruned_only_where_the_row_says_so(ratio, kept):
    said = {} if ratio is None else {"pruning_ratio": ratio}
    one = router({"dimension": 8, "method": "token_pruning", **said})
    assert one.quantize("one", TOKENS).metadata.kept_tokens == kept
    assert one.quantize_fingerprint({"one": TOKENS})["one"].metadata.kept_tokens == kept


def test_the_tokens_of_e12_are_halved_where_nobody_says_how_many():
    row = {"dimension": 8, "method": "token_pruning"}
    for profile, kept in (({"E12": row}, 5), ({"E12": {**row, "pruning_ratio": 1}}, 10)):
        router = QuantizationRouter(profile=profile)
        assert router.quantize("E12", TOKENS).metadata.kept_tokens == kept
    assert TokenPruningEncoder(0.3, {"E12": row}).quantize("E12", TOKENS).metadata.kept_tokens == 3


def test_a_caller_says_the_part_of_tokens_that_a_row_leaves_open():
    row = {"dimension": 8, "method": "token_pruning"}
    assert router(row, pruning_ratio=0.2).quantize("one", TOKENS).metadata.kept_tokens == 2
    said = router({**row, "pruning_ratio": 0.5}, pruning_ratio=0.2)
    assert said.quantize("one", TOKENS).metadata.kept_tokens == 5


@pytest.mark.parametrize(
    ("said", "kept", "layout", "pool"),
    [
        ({}, 5, "compact_int4_f16", True),
        ({"pool": False}, 5, "compact_int4_f16", False),
        ({"scoring": "max_abs"}, 5, "compact_int4_f16", False),
        ({"layout": "compact_e4m3"}, 5, "compact_e4m3", True),
        ({"pruning_ratio": 0.3}, 3, "compact_int4", False),
        ({"pruning_ratio": 0.3, "pool": True}, 3, "compact_int4", True),
    ],
)
def test_a_row_says_whether_tokens_are_pooled(said, kept, layout, pool):
    one = router({"dimension": 8, "method": "token_pruning", **said})
    codec, found = one.codec("one", 3), one.quantize_fingerprint({"one": TOKENS}, step=3)["one"]
    assert (found.metadata.kept_tokens, found.metadata.layout) == (kept, layout)
    assert codec.pool is pool
    merged = pool_tokens(TOKENS.astype(np.float32), kept)[1].tolist()
    assert (codec.positions(found).tolist() == merged) is pool


def test_a_profile_kept_before_there_was_a_choice_goes_on_with_half_the_tokens():
    text = 'E12 = { dimension = 8, method = "token_pruning" }'
    before, now = Profile.kept(text), Profile.from_toml(text)
    for profile, layout, kept in ((before, "compact_e4m3", 5), (now, "compact_int4_f16", 10)):
        router = QuantizationRouter(profile=profile)
        (one,) = router.quantize_fingerprint({"E12": TOKENS}).values()
        assert (one.metadata.layout, one.metadata.kept_tokens) == (layout, kept)
        assert router.quantize("E12", TOKENS).metadata[:2] == (10, 5)


def test_a_row_says_which_tokens_are_kept_and_how():
    row = {"dimension": 8, "method": "token_pruning", "pruning_ratio": 0.5}
    one = router({**row, "scoring": "magnitude", "layout": "compact_int4"})
    largest = np.sort(np.argsort(-np.linalg.norm(TOKENS, axis=1))[:5])
    kept = one.quantize_fingerprint({"one": TOKENS}, step=0)["one"]
    assert kept.metadata.layout == "compact_int4"
    assert one.codec("one", 0).positions(kept).tolist() == largest.tolist()
    np.testing.assert_array_equal(one.dequantize(one.quantize("one", TOKENS)), TOKENS[largest])


def test_a_row_says_the_layout_of_sparse_vectors_in_fingerprints():
    one = router({"dimension": 50, "method": "sparse_native", "layout": "compact_f32"})
    for step in (0, 3):
        kept = one.quantize_fingerprint({"one": MEMORY["words"]}, step)["one"]
        assert kept.metadata.layout == "compact_f32"
    assert one.quantize("one", MEMORY["words"]).metadata.layout == "canonical"


def book(size):
    return PQ8Codebook(np.zeros((size, 256, 8 // size), np.float32))


def test_a_codebook_of_another_size_than_the_row_says_is_refused(tmp_path):
    profile = {"one": {"dimension": 8, "method": "pq8", "bytes": 4}}
    assert QuantizationRouter(profile=profile).expected_size("one") == 4
    assert QuantizationRouter({"one": book(4)}, profile).quantize("one", X[0]).size_bytes == 4
    with pytest.raises(InvalidInput, match="one of 4 bytes, as the profile says") as refusal:
        QuantizationRouter({"one": book(8)}, profile)
    command = "cgcython train one --input one=train.npy --models models --bytes 4"
    assert command in str(refusal.value)
    books = Codebooks(tmp_path, profile)
    with pytest.raises(CodebookMissing, match=r"train one --input one=train\.npy"):
        books["one"]
    book(8).save(books.path("one"), force=True)
    with pytest.raises(InvalidInput, match="got 8 bytes"):
        books["one"]


def test_a_codebook_of_one_of_the_thirteen_is_not_that_of_a_users():
    owned = book(8).with_facts({"model": ModelId.CODE.title})
    with pytest.raises(InvalidInput, match="one trained for E7 Code"):
        Codebooks({"one": owned})
