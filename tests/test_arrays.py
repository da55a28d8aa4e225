"""Whatever callers have becomes finite contiguous float32, or an error says why not."""

import decimal
import fractions

import ml_dtypes
import numpy as np
import pytest
from tensor_stand_in import Tensor, needing_gradient

from cgcython.arrays import as_integers, as_matrix, as_tokens, as_vector
from cgcython.errors import DimensionMismatch, InvalidInput, NonFiniteValue
from cgcython.records import TokenEmbeddings

VALUES = np.arange(-8, 8).astype(np.float32) / 4
STRIDED = np.repeat(VALUES, 3)[::3]
BYTES = b"\0" + VALUES.tobytes()


def as_is(array):
    return (
        array.dtype == np.float32
        and array.dtype.isnative
        and array.flags.c_contiguous
        and array.flags.aligned
    )


@pytest.mark.parametrize(
    "values",
    [
        VALUES.tolist(),
        tuple(VALUES.tolist()),
        VALUES.astype(np.float16),
        VALUES.astype(np.float64),
        VALUES.astype(np.longdouble),
        VALUES.astype(">f4"),
        VALUES.astype(">f8"),
        STRIDED,
        VALUES[::-1][::-1],
        np.frombuffer(BYTES, np.float32, offset=1),
        memoryview(VALUES),
        VALUES.astype(ml_dtypes.bfloat16),
        VALUES.astype(ml_dtypes.float8_e4m3fn),
    ],
    ids=lambda values: f"{type(values).__name__} {getattr(values, 'dtype', '')}",
)
def test_takes_numbers_in_any_form(values):
    vector = as_vector(values, dim=16)
    assert as_is(vector)
    np.testing.assert_array_equal(vector, VALUES)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, bool])
def test_takes_whole_numbers_and_bits(kind):
    np.testing.assert_array_equal(as_vector(np.array([1, 0, 1], kind)), [1, 0, 1])


def test_takes_memory_mapped_files(tmp_path):
    np.save(tmp_path / "values.npy", VALUES)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    np.testing.assert_array_equal(as_vector(mapped), VALUES)


def test_float32_arrays_are_not_copied():
    assert np.shares_memory(as_vector(VALUES), VALUES)


@pytest.mark.parametrize("kind", ["float32", ml_dtypes.bfloat16, "float16", "float64", "int32"])
@pytest.mark.parametrize("form", [Tensor, needing_gradient])
def test_takes_tensors_alone_and_in_lists(form, kind):
    tensor = form(np.arange(6).astype(kind))
    np.testing.assert_array_equal(as_vector(tensor), range(6))
    rows = [tensor[:3], tensor[3:]]
    np.testing.assert_array_equal(as_matrix(rows), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "float16", "float64", "int32"])
def test_takes_torch_tensors_without_a_gradient_or_with(kind):
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6).to(getattr(torch, kind))
    np.testing.assert_array_equal(as_vector(tensor), range(6))
    if tensor.is_floating_point():
        np.testing.assert_array_equal(as_vector(tensor.requires_grad_()), range(6))
    rows = [tensor.reshape(2, 3)[0], tensor.reshape(2, 3)[1]]
    np.testing.assert_array_equal(as_matrix(rows), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    "values",
    [
        "1.0",
        ["1.0", "2.0"],
        b"1234",
        [1 + 0j],
        [None],
        [[1.0], [1.0, 2.0]],
        {"a": 1},
        [decimal.Decimal(1)],
        [fractions.Fraction(1)],
        [2**70],
        np.array(["2026-01-01"], "datetime64[D]"),
        np.array([3], "timedelta64[s]"),
        np.array([(1.0,)], [("x", "f4")]),
        np.zeros(3, "V4"),
        object,
        None,
    ],
    ids=repr,
)
def test_refuses_what_is_no_array_of_real_numbers(values):
    with pytest.raises(InvalidInput, match="an array of real numbers"):
        as_vector(values)


@pytest.mark.parametrize(
    ("values", "expected", "actual"),
    [([1, 2, 3], 4, 3), ([[1, 2, 3, 4]], 1, 2), (7.0, 1, 0), ([], 4, 0)],
)
def test_names_the_shape_it_wants_and_the_one_that_came(values, expected, actual):
    with pytest.raises(DimensionMismatch) as refusal:
        as_vector(values, dim=4)
    assert (refusal.value.expected, refusal.value.actual) == (expected, actual)


@pytest.mark.parametrize("kind", ["f4", "f8", "u1"])
def test_a_view_larger_than_memory_is_refused_by_its_shape(kind):
    huge = np.broadcast_to(np.zeros(1, kind), (2**45,))
    for take in (lambda: as_vector(huge, dim=4), lambda: as_matrix(huge[:, None], dim=4)):
        with pytest.raises(DimensionMismatch, match=r"got (1|35184372088832)"):
            take()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_names_the_first_value_that_float32_cannot_hold(value):
    values = np.zeros((3, 4))
    values[1, 2] = values[2, 0] = value
    with pytest.raises(NonFiniteValue, match="value 6 is") as refusal:
        as_matrix(values)
    assert refusal.value.index == 6


def test_largest_and_smallest_numbers_pass():
    limits = np.finfo(np.float32)
    extremes = [limits.max, limits.min, limits.smallest_subnormal, 0.0, -0.0]
    np.testing.assert_array_equal(as_vector(np.array(extremes, np.float64)), extremes)


def test_a_kernel_may_check_finiteness_instead():
    assert np.isnan(as_matrix([[np.nan]], finite=False)).all()


@pytest.mark.parametrize("tokens", [[], (), np.empty((0, 4), np.float32), TokenEmbeddings([])])
def test_no_tokens_are_a_matrix_without_rows(tokens):
    assert len(as_tokens(tokens)) == 0
    assert as_tokens([], dim=4).shape == as_matrix([], dim=4).shape == (0, 4)


def test_tokens_may_be_vectors_matrices_or_token_embeddings():
    rows = [VALUES, VALUES + 1]
    for tokens in (rows, np.stack(rows), TokenEmbeddings(rows), [list(row) for row in rows]):
        np.testing.assert_array_equal(as_tokens(tokens, dim=16), np.stack(rows))


def test_a_vector_without_values_is_no_tokens_as_json_has_them():
    assert as_tokens(np.array([])).shape == (0, 0)
    assert as_matrix(np.array([]), dim=4).shape == (0, 4)


MASKED = np.ma.masked_greater(VALUES, 1.5)  # from value 15 on


@pytest.mark.parametrize(
    ("take", "values"),
    [
        (as_vector, MASKED),
        (as_vector, MASKED.astype(np.float64)),
        (as_vector, [*VALUES[:15].tolist(), np.ma.masked]),
        (as_matrix, MASKED[None]),
        (as_tokens, [VALUES, MASKED]),
        (as_tokens, [VALUES.tolist(), [*VALUES[:15].tolist(), np.ma.masked]]),
        (lambda values: as_integers(values, "rows"), np.ma.masked_greater([0, 9, 1], 5)),
    ],
)
def test_masked_values_are_named_and_never_taken(take, values):
    with pytest.raises(InvalidInput, match=r"value (0|1|15) masked"):
        take(values)


def test_an_array_that_masks_nothing_is_an_array():
    np.testing.assert_array_equal(as_vector(np.ma.array(VALUES, mask=False)), VALUES)


def test_what_is_too_small_for_float32_underflows_whatever_numpy_is_told():
    with np.errstate(all="raise"):
        assert as_vector([1e-300, 1e-40, 1.0]).tolist() == [0.0, np.float32(1e-40), 1.0]


@pytest.mark.parametrize("kind", ["u1", "i8", ">i4", "u8"])
def test_integers_of_any_type_are_integers(kind):
    assert as_integers(np.array([3, 1], kind), "rows").tolist() == [3, 1]


@pytest.mark.parametrize("values", [[1.0], [None], "12", [[1], [1, 2]], {1}, [True], [2**70]])
def test_what_is_no_integer_is_named(values):
    with pytest.raises(InvalidInput, match="rows: expected integers"):
        as_integers(values, "rows")


@pytest.mark.parametrize("values", [[], np.array([]), ()])
def test_no_values_are_no_integers(values):
    found = as_integers(values, "rows")
    assert (found.dtype, found.size) == (np.int64, 0)
    assert as_integers(np.empty((0, 4), np.uint8), "codes").dtype == np.uint8
