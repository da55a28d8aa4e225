"""Errors carry facts, survive pickling, and print one sentence with the remedy."""

import copy
import pickle
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from cgcython import errors
from cgcython.base import ModelId, QuantizationMethod

PQ8 = QuantizationMethod.PQ8
EXAMPLES = (
    errors.DimensionMismatch(model_id=ModelId.HDC, expected=1024, actual=3),
    errors.StorageCorruption(where="record 7", reason="the checksum differs"),
    errors.UnsupportedVersion(where="record 7", reason="it has version 9"),
    errors.CodebookCorrupt(where="a.safetensors", reason="the hash differs"),
    errors.CodebookMissing(model_id=ModelId.CODE, path="m/x", command="cgcython train"),
    errors.CodebookMissing(codebook_id=0xBEEF),
    errors.RecallLossExceeded(method=PQ8, measured_loss=0.187, max_loss=0.05),
    errors.InvalidQuantizedData(method=PQ8, expected_bytes=8, actual_bytes=7),
    errors.InvalidQuantizedData(method=PQ8, reason="a code is NaN"),
    errors.SparseTooDense(expected_sparsity=10, nnz=11, total=100, actual_pct=11.0),
    errors.NonFiniteValue(index=4, value=float("inf")),
    errors.MethodMismatch(expected=PQ8, actual=QuantizationMethod.BINARY),
    errors.BudgetExceeded(budget_bytes=10, smallest_bytes=12),
    errors.InvalidInput(what="k", expected="1 or more", actual=0),
    errors.UnknownMethod(what="E1.method", expected="one of pq8", actual="float32"),
    errors.StoreUnavailable(path="here", reason="it is locked"),
    errors.FileUnavailable(path="a.safetensors", reason="No such file or directory"),
    errors.UsageError("name the embedder, as in E1=docs.npy"),
    errors.WorkersLost(reason="none is left"),
)
CODES = {
    "DimensionMismatch": "EMB-E005",
    "StorageCorruption": "EMB-E010",
    "CodebookMissing": "EMB-E011",
    "RecallLossExceeded": "EMB-E012",
    "InvalidQuantizedData": "EMB-E013",
    "SparseTooDense": "EMB-E014",
    "NonFiniteValue": "EMB-E015",
    "MethodMismatch": "EMB-E016",
    "BudgetExceeded": "EMB-E017",
}


def kinds():
    base = errors.QuantizationError
    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    return {kind for kind in found if issubclass(kind, base) and kind is not base}


def test_every_error_has_an_example_here():
    assert {type(example) for example in EXAMPLES} == kinds()


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_prints_its_code_and_all_its_facts(error):
    assert str(error).startswith(f"[{error.code}] ")
    assert "None" not in str(error)
    assert "{" not in str(error)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_survives_pickling_and_copying(error):
    error.add_note("while encoding row 3")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is type(error)
        assert (str(twin), repr(twin), vars(twin)) == (str(error), repr(error), vars(error))


class Shy:
    def __str__(self):
        raise RuntimeError("no text")


ODD = [
    memoryview(b"ab"),
    (one for one in "ab"),
    Shy(),
    object(),
    10**9999,
    "x" * 9999,
    np.float32(0.5),
    np.array(["a"] * 9999),
    np.broadcast_to(np.uint8(0), (2**40,)),
    [ValueError("in a list")],
    (UUID(int=1), Shy()),
]


@pytest.mark.parametrize("fact", ODD, ids=lambda fact: type(fact).__name__)
def test_prints_briefly_and_survives_pickling_whatever_the_fact(fact):
    for error in (
        errors.InvalidInput(what="k", expected="1 or more", actual=fact),
        errors.RecallLossExceeded(method=PQ8, measured_loss=fact, max_loss=fact),
        errors.CodebookMissing(codebook_id=fact),
    ):
        twin = pickle.loads(pickle.dumps(error))
        assert (str(twin), vars(twin)) == (str(error), vars(error))
        assert len(str(error)) < 2500


def test_facts_that_are_numbers_text_paths_and_ids_stay_what_they_are():
    for fact in (1, 0.5, True, None, "a", b"a", Path("a"), UUID(int=1), PQ8, (UUID(int=1), 2)):
        assert errors.InvalidInput(actual=fact).actual == fact
    assert type(errors.InvalidInput(actual=np.float32(0.5)).actual) is float


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_codes_are_the_specified_ones(name, code):
    assert getattr(errors, name).code == code


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_one_base_catches_all(error):
    assert isinstance(error, errors.QuantizationError)


def test_names_the_embedder_as_people_do():
    assert str(EXAMPLES[0]).startswith("[EMB-E005] E9 Hdc: expected 1024 values, got 3;")


def test_the_first_embedder_named_stays():
    error = errors.NonFiniteValue(index=0, value=1.0)
    assert error.about(ModelId.HDC).about(ModelId.CODE).model_id is ModelId.HDC


def test_says_how_to_get_a_missing_codebook():
    assert "no codebook at m/x; train it with: cgcython train" in str(EXAMPLES[4])


def test_names_the_codebook_that_made_unreadable_codes():
    assert "codebook 0x0000beef, which made these codes, is not at hand" in str(EXAMPLES[5])


def test_says_what_is_wrong_with_bytes():
    assert str(EXAMPLES[7]) == (
        "[EMB-E013] pq8 data: expected 8 bytes, got 7; decode what this package encoded"
    )
    assert "pq8 data: a code is NaN;" in str(EXAMPLES[8])


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_prints_without_any_fact(error):
    assert error.code in str(type(error)())


def test_refuses_facts_it_does_not_know():
    with pytest.raises(TypeError, match="NonFiniteValue has no expected"):
        errors.NonFiniteValue(expected=3)


def test_a_useless_argument_is_a_value_error_too():
    assert issubclass(errors.InvalidInput, ValueError)
