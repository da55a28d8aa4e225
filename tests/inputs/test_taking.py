"""Embeddings become the same columns, whichever package's array, column or list holds them."""

import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from tensor_stand_in import SparseTensor, Tensor

from cgcython import Profile, SparseVector, TokenArray
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue
from cgcython.inputs.taking import take
from cgcython.narrow_floats import BFLOAT16, WidenedRows

PROFILE = Profile(
    {
        "dense": {"dimension": 4, "method": "float8_e4m3"},
        "sparse": {"dimension": 50, "method": "sparse_native"},
        "tokens": {"dimension": 2, "method": "token_pruning"},
    }
)
DENSE = np.arange(12, dtype=np.float32).reshape(3, 4)
LISTS = DENSE.tolist()
CSR = scipy.sparse.csr_array(([1.0, 2.0, 3.0], [3, 9, 49], [0, 2, 2, 3]), shape=(3, 50))
PAIRS = [{3: 1.0, 9: 2.0}, {}, {49: 3.0}]
STRUCTS = [{"indices": list(one), "values": list(one.values())} for one in PAIRS]
TOKENS = [np.arange(4.0).reshape(2, 2), np.zeros((0, 2)), np.ones((3, 2))]
TOKEN_LISTS = [one.tolist() for one in TOKENS]
PADDED = np.zeros((3, 4, 2))
MASK = np.zeros((3, 4), int)
for _i, _one in enumerate(TOKENS):
    PADDED[_i, : len(_one)], MASK[_i, : len(_one)] = _one, 1


def rows(name, values):
    """Return what each record has after taking, None where it has nothing."""
    taken = take(values, PROFILE[PROFILE.embedder(name)])
    found = [None] * taken.num_records
    for at, record in enumerate(taken.records(0, len(taken.column)).tolist()):
        one = taken.column[at]
        if isinstance(one, SparseVector):
            found[record] = dict(zip(one.indices.tolist(), one.weights.tolist()))
        else:
            found[record] = np.asarray(one, np.float32).tolist()
    return found


def widened(values):
    bits = values.astype(ml_dtypes.bfloat16).view("<u2").view(BFLOAT16)
    return WidenedRows(bits)


SAME_DENSE = {
    "float16": DENSE.astype(np.float16),
    "float64, Fortran": np.asfortranarray(DENSE, np.float64),
    "int64": DENSE.astype(np.int64),
    "uint8": DENSE.astype(np.uint8),
    "bfloat16": DENSE.astype(ml_dtypes.bfloat16),
    "e4m3": DENSE.astype(ml_dtypes.float8_e4m3fn),
    "e5m2 of a file": widened(DENSE),
    "lists": LISTS,
    "tuple of arrays": tuple(DENSE),
    "generator": (row for row in DENSE),
    "objects": np.array([*DENSE, None], object)[:3],
    "tensor": Tensor(DENSE, requires_grad=True),
    "bfloat16 tensor": Tensor(DENSE.astype(ml_dtypes.bfloat16)),
    "list of tensors": [Tensor(row) for row in DENSE],
    "parts": {"values": DENSE},
    "masked array": np.ma.array(DENSE),
    "arrow list": pa.array(LISTS),
    "arrow large list of halves": pa.array(
        DENSE.astype(np.float16).tolist(), pa.large_list(pa.float16())
    ),
    "arrow integers": pa.array(DENSE.astype(int).tolist()),
    "arrow fixed": pa.array(LISTS, pa.list_(pa.float32(), 4)),
    "arrow slice": pa.array([None, *LISTS, None], pa.list_(pa.float32(), 4))[1:4],
    "arrow chunks": pa.chunked_array([pa.array(LISTS[:1]), pa.array(LISTS[1:])]),
    "arrow tensors": pa.FixedShapeTensorArray.from_numpy_ndarray(DENSE),
    "pandas objects": pd.Series(list(DENSE)),
    "pandas lists": pd.Series(LISTS),
    "pandas arrow": pd.Series(LISTS, dtype=pd.ArrowDtype(pa.list_(pa.float32()))),
    "pandas frame": pd.DataFrame(DENSE),
    "polars list": pl.Series(LISTS),
    "polars array": pl.Series(LISTS, dtype=pl.Array(pl.Float32, 4)),
    "polars frame": pl.DataFrame(DENSE),
}
SAME_SPARSE = {
    "csr array": CSR,
    "csr matrix": scipy.sparse.csr_matrix(CSR),
    "csc": CSR.tocsc(),
    "coo": CSR.tocoo(),
    "int64": CSR.astype(np.int64),
    "wide indices": scipy.sparse.csr_array(
        (CSR.data, CSR.indices.astype(np.int64), CSR.indptr.astype(np.int64)), shape=(3, 50)
    ),
    "coo, twice in one place": scipy.sparse.coo_array(
        ([0.5, 0.5, 3.0, 2.0], ([0, 0, 2, 0], [3, 3, 49, 9])), shape=(3, 50)
    ),
    "torch coo": SparseTensor(CSR, "coo"),
    "torch csr": SparseTensor(CSR, "csr"),
    "vectors": [SparseVector(list(one), list(one.values()), 50) for one in PAIRS],
    "pairs": PAIRS,
    "pairs of text": [{str(key): weight for key, weight in one.items()} for one in PAIRS],
    "structs": STRUCTS,
    "rows": [CSR[[i]] for i in range(3)],
    "parts": {"indptr": CSR.indptr, "indices": CSR.indices, "weights": CSR.data},
    "arrow structs": pa.array(STRUCTS),
    "arrow slice of structs": pa.array([STRUCTS[2], *STRUCTS])[1:],
    "arrow maps": pa.array([list(one.items()) for one in PAIRS], pa.map_(pa.int32(), pa.float32())),
    "arrow slice of maps": pa.array(
        [list(one.items()) for one in [PAIRS[2], *PAIRS]], pa.map_(pa.int32(), pa.float32())
    )[1:],
    "pandas": pd.Series(PAIRS),
    "polars": pl.Series(STRUCTS),
}
SAME_TOKENS = {
    "list": TOKENS,
    "nested lists": TOKEN_LISTS,
    "bfloat16": [one.astype(ml_dtypes.bfloat16) for one in TOKENS],
    "tensors": [Tensor(one) for one in TOKENS],
    "objects": np.array([*TOKENS, None], object)[:3],
    "token array": TokenArray.from_list(TOKENS),
    "padded and mask": (PADDED, MASK),
    "padded tensor and mask": (Tensor(PADDED), Tensor(MASK)),
    "padded and lengths": (PADDED, [2, 0, 3]),
    "padded parts": {"values": PADDED, "mask": MASK},
    "parts": {"values": np.concatenate(TOKENS), "offsets": [0, 2, 2, 5]},
    "masked array": np.ma.array(PADDED, mask=np.repeat(MASK[:, :, None] == 0, 2, axis=2)),
    "arrow": TokenArray.from_list(TOKENS).to_arrow(),
    "arrow integers": pa.array([np.asarray(one, int).tolist() for one in TOKENS]),
    "arrow slice": pa.array([[[9.0, 9.0]], *TOKEN_LISTS])[1:],
    "pandas": pd.Series(TOKENS),
    "polars": pl.Series(TOKEN_LISTS),
}


@pytest.mark.parametrize("form", SAME_DENSE)
def test_dense_rows_are_the_same_in_every_form(form):
    assert rows("dense", SAME_DENSE[form]) == LISTS


@pytest.mark.parametrize("form", SAME_SPARSE)
def test_sparse_rows_are_the_same_in_every_form(form):
    assert rows("sparse", SAME_SPARSE[form]) == PAIRS


@pytest.mark.parametrize("form", SAME_TOKENS)
def test_tokens_are_the_same_in_every_form(form):
    assert rows("tokens", SAME_TOKENS[form]) == TOKEN_LISTS


MISSING = {
    "dense": [
        [LISTS[0], None, LISTS[2]],
        pa.array([LISTS[0], None, LISTS[2]]),
        pa.array([LISTS[0], None, LISTS[2]], pa.list_(pa.float32(), 4)),
        pd.Series([DENSE[0], None, DENSE[2]]),
        pd.Series([DENSE[0], float("nan"), DENSE[2]]),
        pl.Series([LISTS[0], None, LISTS[2]]),
        np.ma.array(DENSE, mask=np.repeat([[0], [1], [0]], 4, axis=1)),
    ],
    "sparse": [
        [PAIRS[0], None, PAIRS[2]],
        pa.array([STRUCTS[0], None, STRUCTS[2]]),
        pa.array([list(PAIRS[0].items()), None, [(49, 3)]], pa.map_(pa.int32(), pa.float32())),
        pl.Series([STRUCTS[0], None, STRUCTS[2]]),
    ],
    "tokens": [
        [TOKENS[0], None, TOKENS[2]],
        pa.array([TOKEN_LISTS[0], None, TOKEN_LISTS[2]]),
        pd.Series([TOKENS[0], None, TOKENS[2]]),
    ],
}


@pytest.mark.parametrize(
    ("name", "values"), [(name, one) for name in MISSING for one in MISSING[name]]
)
def test_none_and_nulls_are_records_without_the_embedder(name, values):
    found = rows(name, values)
    same = {"dense": LISTS, "sparse": PAIRS, "tokens": TOKEN_LISTS}[name]
    assert [one for one in found if one is not None] == [same[0], same[2]]
    assert found.index(None) == 1


NOTHING = {
    "dense": (
        [],
        np.zeros((0, 4)),
        pa.array([], pa.list_(pa.float32())),
        pd.Series([], dtype=object),
    ),
    "sparse": ([], scipy.sparse.csr_array((0, 50)), pa.array(STRUCTS)[:0]),
    "tokens": ([], TokenArray.from_list([], dim=2), pa.array(TOKEN_LISTS)[:0], np.zeros((0, 3, 2))),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_is_no_record(name):
    for values in NOTHING[name]:
        assert rows(name, values) == []
    assert rows(name, [None, None]) == [None, None]


REFUSED = {
    "bool": ("dense", DENSE > 1, "np.where"),
    "complex": ("dense", DENSE + 1j, "array.real"),
    "text": ("dense", DENSE.astype(str), "astype"),
    "sparse for dense": ("dense", CSR, "toarray"),
    "dense for sparse": ("sparse", np.zeros((3, 50)), r"scipy\.sparse\.csr_array"),
    "dense lists for sparse": ("sparse", [[0.0] * 50], r"scipy\.sparse\.csr_array"),
    "other layouts": ("sparse", SparseTensor(CSR, "bsr"), "to_sparse_csr"),
    "matrix for tokens": ("tokens", np.zeros((3, 2)), "mask"),
    "codes for tokens": ("tokens", TokenArray.from_list(TOKENS).quantize("int8"), "dequantize"),
    "numbers in a column": ("dense", pa.array([1.0, 2.0]), "lists of numbers"),
    "text in a column": ("dense", pa.array([["a"]]), "lists of numbers"),
    "a null inside": ("dense", pa.array([[1.0, None, 2.0, 3.0]]), "fill_null"),
    "a null token": ("tokens", pa.array([[[1.0, 2.0], None]]), "drop_null"),
    "a null weight": ("sparse", pa.array([{"indices": [1, 2], "values": [None, 1]}]), "fill_null"),
    "more weights": ("sparse", pa.array([{"indices": [1], "values": [1.0, 2.0]}]), "values"),
    "masked in part": ("dense", np.ma.array(DENSE, mask=DENSE == 5), "filled"),
    "other parts": ("sparse", {"indptr": [0], "indices": []}, "weights"),
    "a number": ("dense", 5, "embeddings"),
    "a text": ("tokens", "tokens", "embeddings"),
    "objects": ("dense", [{}] * 3, "real numbers"),
}  # fmt: skip


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_refused_says_which_conversion_to_call(why):
    name, values, remedy = REFUSED[why]
    with pytest.raises(InvalidInput, match=remedy):
        rows(name, values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dense", DENSE[:, :3]),
        ("dense", [DENSE[0], DENSE[1, :3]]),
        ("dense", pa.array([[1.0, 2.0]])),
        ("dense", DENSE[None]),
        ("sparse", CSR[:, :40]),
        ("sparse", [SparseVector([1], [1.0], 40)]),
        ("tokens", [np.zeros((2, 3))]),
        ("tokens", pa.array([[[1.0, 2.0, 3.0]]])),
    ],
)
def test_other_dimensions_are_refused(name, values):
    with pytest.raises((DimensionMismatch, InvalidInput)) as caught:
        rows(name, values)
    assert caught.value.model_id == PROFILE.embedder(name)


def test_explicit_zeros_are_left_out():
    zeros = scipy.sparse.csr_array(([0.0, 2.0, 0.0], [3, 9, 49], [0, 2, 2, 3]), shape=(3, 50))
    assert rows("sparse", zeros) == [{9: 2.0}, {}, {}]


def test_a_matrix_is_left_where_it_lies():
    assert take(DENSE, PROFILE[PROFILE.embedder("dense")]).column.values is DENSE
    scipy_before = scipy.sparse.csr_array(([1.0, 1.0], [3, 3], [0, 2]), shape=(1, 50))
    rows("sparse", scipy_before)
    assert scipy_before.nnz == 2


def test_what_is_not_finite_is_told_when_it_is_encoded():
    with pytest.raises((NonFiniteValue, InvalidInput)):
        SparseVector([1], [np.nan], 50)
