"""Sparse vectors of scipy, torch and mappings, at every door that takes a SparseVector."""

import numpy as np
import pytest
import scipy.sparse
from tensor_stand_in import SparseTensor

from cgcython import Fingerprint, QuantizationRouter, SparseNativeEncoder, SparseVector
from cgcython.errors import DimensionMismatch, InvalidInput

DIM = 30522
CSR = scipy.sparse.csr_array(([1.0, 2.0, 3.0], [3, 9, 49], [0, 2, 2, 3]), shape=(3, DIM))
VECTORS = [
    SparseVector([3, 9], [1, 2], DIM),
    SparseVector([], [], DIM),
    SparseVector([49], [3], DIM),
]
ROWS = {
    "csr": CSR[[0]],
    "csc": CSR[[0]].tocsc(),
    "coo of one dimension": CSR[0],
    "torch": SparseTensor(CSR[[0]], "csr"),
    "int64": CSR[[0]].astype(np.int64),
}


@pytest.mark.parametrize("form", ROWS)
def test_one_row_is_a_vector(form):
    encoder = SparseNativeEncoder()
    assert encoder.dequantize(encoder.quantize("E6", ROWS[form])) == VECTORS[0]
    assert Fingerprint({"E6": ROWS[form]}) == Fingerprint({"E6": VECTORS[0]})


def test_mappings_from_index_to_weight_are_vectors():
    encoder = SparseNativeEncoder()
    for one in ({9: 2.0, 3: 1.0}, {"indices": [3, 9], "values": [1.0, 2.0]}):
        assert encoder.dequantize(encoder.quantize("E6", one)) == VECTORS[0]


MATRICES = {
    "csr": CSR,
    "csc": CSR.tocsc(),
    "coo": CSR.tocoo(),
    "torch csr": SparseTensor(CSR, "csr"),
    "torch coo": SparseTensor(CSR, "coo"),
}


@pytest.mark.parametrize("form", MATRICES)
def test_a_matrix_is_a_batch(form):
    router = QuantizationRouter(sample_every=1)
    found = router.quantize_batch("E6", MATRICES[form])
    np.testing.assert_equal(found.columns, router.quantize_batch("E6", VECTORS).columns)


def test_other_shapes_are_refused():
    encoder, router = SparseNativeEncoder(), QuantizationRouter()
    for wrong in (CSR, CSR[[0], :50]):
        with pytest.raises(InvalidInput, match="a row of 30522 values"):
            encoder.quantize("E6", wrong)
    with pytest.raises(InvalidInput, match="sparse row"):
        Fingerprint({"E6": CSR})
    with pytest.raises(DimensionMismatch):
        router.quantize_batch("E6", CSR[:, :50])
    with pytest.raises(InvalidInput, match=r"scipy\.sparse\.csr_array"):
        encoder.quantize("E6", np.zeros(DIM))


@pytest.mark.parametrize("form", [{3: 1.0}, ([3, 9], [1.0, 2.0])])
def test_a_fingerprint_that_cannot_know_a_dimension_asks_for_what_says_it(form):
    router = QuantizationRouter()
    with pytest.raises(InvalidInput, match=r"expected SparseVector\(indices, weights, "):
        router.quantize_fingerprint(Fingerprint({"E6": form}))
    vector = SparseVector([3, 9], [1.0, 2.0], DIM)
    assert router.quantize_fingerprint(Fingerprint({"E6": vector}))
