"""Codes of faiss beside ours: the same rows, the same bytes, none of ours in between."""

import faiss
import numpy as np
import pytest

from cgcython.codecs.measures import cosine_losses
from cgcython.evaluation import peers
from cgcython.evaluation.choices import trained_methods
from cgcython.evaluation.folds import samples
from cgcython.evaluation.methods import compare_methods
from cgcython.inputs.columns import DenseColumn

DIM = 16
RNG = np.random.default_rng(5)
DOCUMENTS = DenseColumn(RNG.standard_normal((520, DIM)).astype(np.float32))
QUERIES = list(DOCUMENTS.values[:8])
SIZES = {
    "faiss PQ": {8},
    "faiss OPQ": {8},
    "faiss RQ": {8},
    "faiss RQ and 1-byte norm": {8},
    "faiss RQ and 1-byte norm, own search": {8},
    "faiss RaBitQ": {2 + 8},
    "faiss RaBitQ, own search": {2 + 8},
    "faiss SQ": {8, 12, 16},
}


@pytest.fixture(scope="module")
def rows():
    kinds = peers.faiss_kinds(DIM, [8])
    found = compare_methods(
        "E8", DOCUMENTS, trained_methods(DOCUMENTS, None, kinds, seeds=1), QUERIES
    )
    return {(row.method, row.size): row for row in found[1:]}


def test_every_kind_takes_the_bytes_that_it_says(rows):
    assert {(name, size) for name, sizes in SIZES.items() for size in sizes} == set(rows)
    assert all(row.bytes_each == size for (_, size), row in rows.items())


def test_decoded_codes_lose_what_faiss_says(rows):
    index = faiss.IndexScalarQuantizer(DIM, faiss.ScalarQuantizer.QT_8bit)
    decoded = np.empty_like(DOCUMENTS.values)
    for fold in range(2):
        index.train(samples(DOCUMENTS, None, fold))
        decoded[fold::2] = index.sa_decode(index.sa_encode(DOCUMENTS.values[fold::2].copy()))
    expected = cosine_losses(DOCUMENTS.values, decoded).mean()
    assert rows["faiss SQ", 16].loss.mean == pytest.approx(expected, abs=1e-7)


def test_fewer_stages_are_the_first_ones_of_a_residual_quantizer():
    some = DOCUMENTS.values[:300]
    own = faiss.IndexResidualQuantizer(DIM, 2, 8)
    own.train(some)
    cut = peers._Residual(3, 1).plain(some, 2, 0)
    np.testing.assert_array_equal(cut.encode(some), own.sa_encode(some))


def test_its_own_search_gives_a_score_to_every_code():
    index = faiss.IndexPQ(DIM, 8, 8)
    index.train(DOCUMENTS.values)
    coder = peers.FaissCoder(index)
    codes = coder.encode(DOCUMENTS.values[:50])
    scores = peers.OwnSearch(codes, coder).scores(QUERIES[0])
    distances = ((coder.decode(codes) - QUERIES[0]) ** 2).sum(1)
    np.testing.assert_allclose(scores, -distances, rtol=1e-4)
