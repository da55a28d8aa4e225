"""Codebooks cross to faiss and nanopq and back: same codes, same distances, same decoded values."""

import struct

import faiss
import nanopq
import numpy as np
import pytest

from cgcython import (
    BinaryCodec,
    CodebookCorrupt,
    CodebookMissing,
    CodeIndex,
    Float8Codec,
    InvalidInput,
    PQ8Codebook,
    PQ8Codec,
    QuantizationError,
    interchange,
)

DIM = 64
RNG = np.random.default_rng(31)
FACTORS = RNG.standard_normal((12, DIM))


def correlated(count):
    """Return rows of twelve factors and noise, away from the origin."""
    noise = RNG.standard_normal((count, DIM))
    return (RNG.standard_normal((count, 12)) @ FACTORS + noise + 1).astype(np.float32)


ROWS, OTHERS = correlated(10_000), correlated(200)
faiss.omp_set_num_threads(1)


def trained(transform, rows):
    """Return a faiss index that transforms rows and quantizes them, trained in a few steps."""
    inner = faiss.IndexPQ(transform.d_out, 8, 8)
    inner.pq.cp.niter = transform.niter = transform.niter_pq = transform.niter_pq_0 = 3
    index = faiss.IndexPreTransform(transform, inner)
    index.train(rows)
    return index


@pytest.fixture(scope="module", params=[None, "wide", "narrow"])
def book(request):
    width = {None: None, "wide": DIM, "narrow": 40}[request.param]
    rotation = request.param and "pca"
    return PQ8Codebook.train(ROWS, rotation=rotation, width=width)


@pytest.fixture(scope="module")
def opq():
    return trained(faiss.OPQMatrix(DIM, 8), ROWS)


def codes_of(index, rows):
    """Return the codes that a faiss index or quantizer gives rows."""
    return index.sa_encode(rows) if isinstance(index, faiss.Index) else index.compute_codes(rows)


def projected(book, rows):
    """Return what a codebook's parts are cut from."""
    return rows if book.rotation is None else (rows - book.mean) @ book.rotation


def test_codes_of_our_codebooks_are_the_same_in_faiss(book):
    assert np.array_equal(codes_of(interchange.to_faiss(book), OTHERS), book.encode(OTHERS))


def test_distances_in_faiss_are_those_of_the_decoded_vectors(book):
    index, codes = interchange.to_faiss(book), book.encode(OTHERS)
    inner = faiss.downcast_index(getattr(index, "index", index))
    inner.add_sa_codes(codes)
    query, decoded = OTHERS[:1], book.decode(codes)
    found, ids = inner.search(projected(book, query), 5)
    exact = ((projected(book, query) - projected(book, decoded)) ** 2).sum(1)
    np.testing.assert_allclose(found[0], np.sort(exact)[:5], rtol=1e-3)
    assert exact[ids[0, 0]] == pytest.approx(exact.min(), rel=1e-3)


@pytest.mark.parametrize("ids", [None, np.arange(200)[::-1] * 3])
def test_filled_indexes_of_faiss_find_the_same_codes(book, ids, tmp_path):
    batch = PQ8Codec(book).encode_batch(OTHERS)
    faiss.write_index(interchange.to_faiss_index(batch, book, ids), str(tmp_path / "index"))
    theirs = faiss.read_index(str(tmp_path / "index"))
    distances, found = theirs.search(OTHERS[:5], 200)
    missing = CodeIndex(book, batch, ids).search(OTHERS[:5], 200)[1] - distances
    # Their distances lack what a narrower rotation does not see of a query.
    np.testing.assert_allclose(missing - missing[:, :1], 0, atol=0.02)
    exact = CodeIndex(book, batch, ids).search(OTHERS[:5], 200)[0]
    assert np.mean(found == exact) > 0.99  # float32 orders ties otherwise


@pytest.mark.parametrize("ids", [None, range(1000, 1200)])
def test_bits_become_a_binary_index_of_faiss(ids):
    codec = BinaryCodec(DIM - 3)
    batch = codec.encode_batch(OTHERS[:, 3:])
    theirs = interchange.to_faiss_index(batch, ids=ids)
    distances, found = theirs.search(batch.columns["codes"][:7], 200)
    own = CodeIndex(codec, batch, ids).search(OTHERS[:7, 3:], 200)
    np.testing.assert_array_equal(distances, own[1])
    assert np.sort(found).tolist() == np.sort(own[0]).tolist()


def test_batches_that_faiss_has_no_index_for_are_refused(book):
    batch = PQ8Codec(book).encode_batch(OTHERS)
    with pytest.raises(InvalidInput, match=r"faiss.IndexFlat of codec.decode_batch\(batch\)"):
        interchange.to_faiss_index(Float8Codec(DIM).encode_batch(OTHERS))
    with pytest.raises(CodebookMissing):
        interchange.to_faiss_index(batch, PQ8Codebook(book.centroids + 1))
    with pytest.raises(InvalidInput, match="codebook: expected a PQ8Codebook, got NoneType"):
        interchange.to_faiss_index(batch)
    with pytest.raises(InvalidInput, match="ids: expected 200 integers"):
        interchange.to_faiss_index(batch, book, ids=[1, 2])


def test_what_faiss_decodes_lacks_only_the_mean_that_it_never_saw(book):
    index, codes = interchange.to_faiss(book), book.encode(OTHERS)
    missing = 0
    if book.rotation is not None:
        missing = book.mean - book.rotation @ (book.mean @ book.rotation)
    np.testing.assert_allclose(index.sa_decode(codes) + missing, book.decode(codes), atol=1e-4)


def test_codebooks_of_faiss_encode_and_decode_the_same_here(opq):
    book = interchange.from_faiss(opq)
    codes = codes_of(opq, OTHERS)
    assert np.array_equal(book.encode(OTHERS), codes)
    np.testing.assert_allclose(book.decode(codes), opq.sa_decode(codes), atol=1e-4)


@pytest.mark.parametrize("kind", ["quantizer", "index"])
def test_plain_quantizers_of_faiss_come_over(kind):
    index = faiss.IndexPQ(DIM, 16, 8)
    index.pq.cp.niter = 3
    index.train(ROWS)
    theirs = index if kind == "index" else index.pq
    book = interchange.from_faiss(theirs)
    assert book.num_subvectors == 16
    assert np.array_equal(book.encode(OTHERS), codes_of(theirs, OTHERS))


def test_a_bias_of_faiss_becomes_a_mean():
    index = trained(faiss.PCAMatrix(DIM, 32), ROWS + 5)
    book = interchange.from_faiss(index)
    assert np.array_equal(book.encode(OTHERS + 5), codes_of(index, OTHERS + 5))


def test_there_and_back_is_the_same_codebook(book):
    again = interchange.from_faiss(interchange.to_faiss(book))
    assert np.array_equal(again.centroids, book.centroids)
    assert np.array_equal(again.encode(OTHERS), book.encode(OTHERS))


@pytest.mark.parametrize("kind", [nanopq.PQ, nanopq.OPQ])
def test_codebooks_of_nanopq_encode_and_decode_the_same_here(kind):
    theirs = kind(M=8, Ks=256, verbose=False)
    options = {"rotation_iter": 2, "pq_iter": 5} if kind is nanopq.OPQ else {"iter": 5}
    theirs.fit(ROWS, seed=1, **options)
    book = interchange.from_nanopq(theirs)
    codes = theirs.encode(OTHERS)
    assert np.array_equal(book.encode(OTHERS), codes)
    np.testing.assert_allclose(book.decode(codes), theirs.decode(codes), atol=1e-4)


def test_codes_of_our_codebooks_are_the_same_in_nanopq(book):
    if book.width != book.embedding_dim:
        with pytest.raises(InvalidInput, match="all 64 values"):
            interchange.to_nanopq(book)
        return
    theirs, codes = interchange.to_nanopq(book), book.encode(OTHERS)
    assert np.array_equal(theirs.encode(OTHERS), codes)
    np.testing.assert_allclose(theirs.decode(codes), book.decode(codes), atol=1e-4)
    distances = theirs.dtable(OTHERS[0]).adist(codes)
    np.testing.assert_allclose(distances, ((OTHERS[0] - book.decode(codes)) ** 2).sum(1), rtol=1e-3)


def test_other_kinds_are_refused():
    four_bits = faiss.ProductQuantizer(DIM, 8, 4)
    skewed = faiss.LinearTransform(DIM, DIM, False)
    faiss.copy_array_to_vector(np.full(DIM * DIM, 0.5, np.float32), skewed.A)
    inner = faiss.IndexPQ(DIM, 8, 8)
    for theirs in (four_bits, faiss.IndexFlatL2(DIM), faiss.IndexPreTransform(skewed, inner)):
        with pytest.raises(InvalidInput, match="quantizer: expected"):
            interchange.from_faiss(theirs)
    for theirs in (nanopq.PQ(M=8, Ks=16, verbose=False), nanopq.PQ(M=8, verbose=False)):
        with pytest.raises(InvalidInput, match="fitted nanopq"):
            interchange.from_nanopq(theirs)


def without(quantizer, **attributes):
    vars(quantizer).update(attributes)
    return quantizer


def nanopq_of(**attributes):
    fitted = interchange.to_nanopq(PQ8Codebook(np.zeros((8, 256, 1))))
    return without(fitted, **attributes)


ODD = [
    lambda: interchange.from_faiss(None),
    lambda: interchange.from_faiss(faiss.IndexPQ(DIM, 8, 8)),
    lambda: interchange.from_faiss(
        faiss.IndexPreTransform(faiss.PCAMatrix(DIM, 32), faiss.IndexPQ(32, 8, 8))
    ),
    lambda: interchange.from_nanopq(None),
    lambda: interchange.from_nanopq(nanopq_of(codewords="words")),
    lambda: interchange.from_nanopq(nanopq_of(codewords=np.zeros((8, 255, 1)))),
    lambda: interchange.from_nanopq(nanopq_of(R=np.eye(8))),
    lambda: interchange.from_nanopq(without(nanopq.OPQ(M=8, verbose=False), R="turn")),
    lambda: interchange.from_nanopq(without(nanopq.OPQ(M=8, verbose=False), R=np.eye(3)[0])),
    lambda: interchange.to_faiss(None),
    lambda: interchange.to_nanopq("codebook"),
    lambda: interchange.from_pq8c(None),
]


@pytest.mark.parametrize("call", ODD)
def test_odd_arguments_are_named(call):
    with pytest.raises(QuantizationError):
        call()


def pq8c(dim=16, number=7, version=1, values=None):
    centroids = ROWS.ravel()[: 256 * dim] if values is None else values
    return struct.pack("<4sBII", b"PQ8C", version, dim, number) + centroids.tobytes()


def test_files_of_the_original_project_are_read(tmp_path):
    path = tmp_path / "semantic.pq8c"
    path.write_bytes(pq8c())
    book = interchange.from_pq8c(path)
    assert (book.embedding_dim, book.num_subvectors, book.metadata["pq8c_id"]) == (16, 8, 7)
    assert np.array_equal(book.centroids.ravel(), ROWS.ravel()[: 256 * 16])
    assert PQ8Codebook.from_bytes(book.to_bytes()) == book


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PQ8C",
        pq8c()[:-1],
        pq8c() + b"\0",
        b"PQ9C" + pq8c()[4:],
        pq8c(version=2),
        pq8c(dim=0),
        pq8c(dim=12),
        pq8c()[:5] + b"\xff\xff\xff\xff" + pq8c()[9:],
        pq8c(values=np.full(256 * 16, np.nan, np.float32)),
        pq8c(dim=1 << 15, values=np.zeros(256 << 15, np.float32)),
    ],
)
def test_damaged_files_of_the_original_project_are_refused(tmp_path, data):
    path = tmp_path / "damaged.pq8c"
    path.write_bytes(data)
    with pytest.raises(CodebookCorrupt, match="damaged"):
        interchange.from_pq8c(path)


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(CodebookMissing):
        interchange.from_pq8c(tmp_path / "none.pq8c")
