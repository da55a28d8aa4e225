"""A profile's row keeps residual codes: in records, stores, column files, shards and searches."""

import numpy as np
import pytest
from structured import clustered

from cgcython import (
    CodebookMissing,
    Fingerprint,
    FingerprintStore,
    InvalidInput,
    PQ8Codebook,
    Profile,
    QuantizationRouter,
    RQ8Codebook,
    ShardWriter,
    open_corpus,
)
from cgcython.search.shards import ShardSearcher

DIM = 24
RNG = np.random.default_rng(8)
ROWS = clustered(DIM, 300)
PROFILE = Profile({"body": {"dimension": DIM, "method": "rq8", "bytes": 8}})
STAGES = RNG.standard_normal((8, 256, 12)) * np.geomspace(0.5, 0.05, 8)[:, None, None]
ROTATION = np.linalg.qr(ROWS.T @ ROWS)[0][:, :12]
BOOK = RQ8Codebook(STAGES, ROTATION, ROWS.mean(axis=0))
DECODED = BOOK.decode(BOOK.encode(ROWS))


def cosines(query):
    lengths = np.linalg.norm(DECODED, axis=1) * np.linalg.norm(query)
    return DECODED @ query / lengths


@pytest.fixture
def store(tmp_path):
    with FingerprintStore.open(tmp_path / "s", {"body": BOOK}, PROFILE) as store:
        store.add(range(300), {"body": ROWS})
        yield store


def test_a_search_ranks_by_the_cosines_of_decoded_rows(store):
    hits = store.search(Fingerprint({"body": ROWS[7]}), k=5)
    expected = cosines(ROWS[7])
    assert (hits[0].id, len(hits)) == (7, 5)  # its own codes, whatever their cosine
    others = np.argsort(-np.where(np.arange(300) == 7, -2, expected), kind="stable")[:4]
    assert [hit.id for hit in hits[1:]] == others.tolist()
    found = [hit.scores["body"] for hit in hits[1:]]
    np.testing.assert_allclose(found, expected[others], rtol=1e-5)


def test_records_decode_to_what_the_codebook_says(store):
    np.testing.assert_array_equal(store.retrieve(3)["body"], DECODED[3])
    assert store.quantized(3)["body"].size_bytes == 8


def test_a_store_opens_again_with_its_codebook_and_its_columns(tmp_path, store):
    store.search(Fingerprint({"body": ROWS[7]}))
    store.save_columns(["body"])
    expected = store.search(Fingerprint({"body": ROWS[9]}))
    store.close()
    with FingerprintStore.open(tmp_path / "s") as again:
        assert again.search(Fingerprint({"body": ROWS[9]})) == expected
        again.verify()


def test_a_store_moves_to_another_codebook_of_its_kind(store):
    other = RQ8Codebook(STAGES * 1.1, ROTATION, ROWS.mean(axis=0))
    assert store.reencode("body", other).records == 300
    assert store.quantized(3)["body"].metadata.codebook_id == other.codebook_id
    assert store.drop_codebooks() == [BOOK.codebook_id]


def test_shards_are_searched(tmp_path):
    np.save(tmp_path / "rows.npy", ROWS)
    with ShardWriter(tmp_path / "shards", {"body": BOOK}, profile=PROFILE) as writer:
        writer.write_all(open_corpus(f"body={tmp_path / 'rows.npy'}", PROFILE))
    searcher = ShardSearcher(tmp_path / "shards")
    assert searcher.search(Fingerprint({"body": ROWS[7]}), k=1)[0].id == 7


def test_a_codebook_of_another_kind_is_refused_with_the_remedy(tmp_path):
    plain = PQ8Codebook(RNG.standard_normal((8, 256, 3)))
    told = r"one of rq8, as the profile says; train it with: .* --method rq8, got one of pq8"
    for use in (QuantizationRouter, lambda *given: FingerprintStore.open(tmp_path / "x", *given)):
        with pytest.raises(InvalidInput, match=told):
            use({"body": plain}, PROFILE)


def test_a_codebook_that_a_method_does_not_need_is_left_alone_of_any_kind():
    profile = Profile({"body": {"dimension": DIM, "method": "float8_e4m3"}})
    for book in (BOOK, PQ8Codebook(RNG.standard_normal((8, 256, 3)))):
        made = QuantizationRouter({"body": book}, profile).quantize("body", ROWS[0])
        assert made.method.value == "float8_e4m3"


def test_a_missing_codebook_names_the_command_of_its_method(tmp_path):
    profile = Profile({"E1": {"dimension": DIM, "method": "rq8"}})
    with pytest.raises(CodebookMissing, match=r"cgcython train E1 .* --method rq8"):
        QuantizationRouter(tmp_path, profile=profile).quantize("E1", ROWS[0])


def test_sizes_that_residual_codes_do_not_have_are_refused():
    with pytest.raises(InvalidInput, match="expected 8 or 16 or 24, got 32"):
        Profile({"body": {"dimension": DIM, "method": "rq8", "bytes": 32}})
