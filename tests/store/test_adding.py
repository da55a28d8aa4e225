"""Arrays in: a record for each row, the same as fingerprints stored one by one."""

import uuid

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse

from cgcython import FingerprintStore, Profile, SparseVector
from cgcython.errors import BudgetExceeded, DimensionMismatch, InvalidInput, NonFiniteValue

RNG = np.random.default_rng(3)
ROWS = 10
PROFILE = Profile(
    {
        "E8": {"dimension": 16, "method": "float8_e4m3"},
        "E9": {"dimension": 24, "method": "binary"},
        "E6": {"dimension": 400, "method": "sparse_native"},
        "E12": {"dimension": 8, "method": "token_pruning"},
    }
)
IDS = [str(uuid.UUID(int=number)) for number in range(100, 100 + ROWS)]
DENSE = RNG.standard_normal((ROWS, 16), dtype=np.float32)
SIGNS = [None if i % 3 == 1 else RNG.standard_normal(24) for i in range(ROWS)]
SPARSE = scipy.sparse.random_array((ROWS, 400), density=0.03, rng=RNG, dtype=np.float32).tocsr()
TOKENS = [RNG.standard_normal((count, 8), dtype=np.float32) for count in range(1, ROWS + 1)]
ARRAYS = {"E8": DENSE, "E9": SIGNS, "E6": SPARSE, "E12": TOKENS}
METADATA = [{"number": i} if i % 2 else None for i in range(ROWS)]


@pytest.fixture
def store(tmp_path):
    with FingerprintStore.open(tmp_path / "memories", profile=PROFILE) as store:
        yield store


def memory(row):
    indices = SPARSE.indices[SPARSE.indptr[row] : SPARSE.indptr[row + 1]]
    weights = SPARSE.data[SPARSE.indptr[row] : SPARSE.indptr[row + 1]]
    vector = SparseVector(indices, weights, 400)
    found = {"E8": DENSE[row], "E9": SIGNS[row], "E6": vector, "E12": TOKENS[row]}
    return {name: one for name, one in found.items() if one is not None}


@pytest.mark.parametrize("batch_size", [1, 4, 1024])
def test_rows_become_the_records_of_their_fingerprints(store, batch_size):
    told = []
    added = store.add(IDS, ARRAYS, METADATA, batch_size=batch_size, progress=told.append)
    assert added == sum(told) == ROWS
    assert max(told) == min(batch_size, ROWS)
    expected = store.encode([memory(row) for row in range(ROWS)])
    assert [store.quantized(one) for one in IDS] == expected
    assert [store.info(one).metadata for one in IDS] == [one or {} for one in METADATA]


def test_records_over_the_finest_budget_take_the_layouts_that_store_takes(store):
    tokens = [RNG.standard_normal((300, 8), dtype=np.float32), TOKENS[0]]
    store.add(IDS[:2], {"E12": tokens}, budget_bytes=1500)
    assert [store.quantized(one) for one in IDS[:2]] == store.encode(
        [{"E12": one} for one in tokens], budget_bytes=1500
    )
    with pytest.raises(BudgetExceeded) as caught:
        store.add(IDS[:2], {"E12": tokens[::-1]}, budget_bytes=100)
    assert caught.value.__notes__ == ["(row 1)"]


LANGUAGES = ["en", None] * (ROWS // 2)


def frame():
    columns = {"key": IDS, "E8": list(DENSE), "lang": LANGUAGES, "year": range(ROWS)}
    return pd.DataFrame(columns)


def arrow():
    vectors = pa.array(DENSE.tolist(), pa.list_(pa.float32(), 16))
    return pa.table({"key": IDS, "E8": vectors, "lang": LANGUAGES, "year": range(ROWS)})


@pytest.mark.parametrize("table", [frame, arrow, lambda: arrow().to_batches()[0],
                                   lambda: pl.DataFrame(arrow())])  # fmt: skip
def test_a_table_has_ids_embeddings_and_metadata(store, table):
    assert store.add("key", table()) == ROWS
    assert store.info(IDS[0]).metadata == {"lang": "en", "year": 0}
    assert store.info(IDS[1]).metadata == {"year": 1}  # a null is no field
    assert store.quantized(IDS[3]) == store.encode([{"E8": DENSE[3]}])[0]


def test_metadata_is_a_list_a_table_or_columns(store):
    table = {"lang": np.array(["en", "de"]), "year": [1, None]}
    for given in (table, pd.DataFrame(table), pl.DataFrame(table), pa.table(table)):
        store.add(IDS[:2], {"E8": DENSE[:2]}, given)
        assert store.info(IDS[0]).metadata == {"lang": "en", "year": 1}
        assert store.info(IDS[1]).metadata == {"lang": "de"}


def test_ids_are_lists_arrays_and_columns(store):
    raw = np.array([list(uuid.UUID(one).bytes) for one in IDS], np.uint8)
    forms = (IDS, np.array(IDS), raw, [row.tobytes() for row in raw],
             pd.Series(IDS), pl.Series(IDS), pa.array(IDS), map(uuid.UUID, IDS))  # fmt: skip
    for form in forms:
        store.add(form, {"E8": DENSE})
        assert sorted(map(str, store.ids())) == IDS


def test_batches_come_from_a_generator_that_fills_one_buffer(store):
    def batches():
        buffer = np.empty((5, 16), np.float32)
        for start in (0, 5):
            buffer[:] = DENSE[start : start + 5]
            yield IDS[start : start + 5], {"E8": buffer}

    assert store.add_batches(batches()) == ROWS
    assert [store.quantized(one) for one in IDS] == store.encode([{"E8": one} for one in DENSE])
    assert store.add_batches([("key", one) for one in arrow().to_batches(3)]) == ROWS
    for wrong in ([5], ["ab"], [(IDS,)], 5):
        with pytest.raises(InvalidInput, match=r"\(ids, arrays\)"):
            store.add_batches(wrong)


def test_memory_maps_are_read_batch_by_batch(store, tmp_path):
    np.save(tmp_path / "x.npy", DENSE.astype(np.float16))
    store.add(IDS, {"E8": np.load(tmp_path / "x.npy", mmap_mode="r")}, batch_size=3)
    expected = store.encode([{"E8": one} for one in DENSE.astype(np.float16)])
    assert [store.quantized(one) for one in IDS] == expected


NAN = DENSE.copy()
NAN[7, 2] = np.nan
WRONG = {
    "fewer ids": (IDS[:3], {"E8": DENSE}, None, "3 rows|10 rows"),
    "fewer rows": (IDS, {"E8": DENSE, "E12": TOKENS[:4]}, None, "10 rows"),
    "an id twice": ([*IDS[:9], IDS[0]], {"E8": DENSE}, None, f"no id twice, got {IDS[0]}"),
    "no id": ([*IDS[:9], None], {"E8": DENSE}, None, "id"),
    "no arrays": (IDS, {}, None, "one embedder or more"),
    "no mapping": (IDS, DENSE, None, "a mapping"),
    "an unknown name": (IDS, {"E99": DENSE}, None, "E99"),
    "a column that is not there": ("id", frame(), None, "a column of key, lang, year"),
    "fewer objects": (IDS, {"E8": DENSE}, [{}], "10 objects"),
    "metadata that is none": (IDS, {"E8": DENSE}, [5] * ROWS, "metadata"),
    "another dimension": (IDS, {"E8": DENSE[:, :3]}, None, "16"),
    "NaN": (IDS, {"E8": NAN}, None, "value 2 is nan"),
}


@pytest.mark.parametrize("why", WRONG)
def test_wrong_input_is_refused_before_anything_is_written(store, why):
    ids, arrays, metadata, told = WRONG[why]
    with pytest.raises((InvalidInput, DimensionMismatch, NonFiniteValue), match=told) as caught:
        store.add(ids, arrays, metadata)
    assert list(store.ids()) == []
    if why == "NaN":
        assert caught.value.__notes__ == ["(row 7)"]


FREE = [None, range(4), ["a", "5", "b", "c"], [5, "5", uuid.UUID(int=5), -5]]


@pytest.mark.parametrize("ids", FREE)
def test_ids_are_free(store, ids):
    store.add(ids, {"E8": DENSE[:4]})
    assert set(store.ids()) == set(range(4) if ids is None else ids)


def test_row_numbers_go_on_after_the_largest_integer(store):
    between = uuid.UUID(int=(2 << 120) + 1)  # its key lies between those of integers
    store.add(["text", between, -5], {"E8": DENSE[:3]})
    store.add(None, {"E8": DENSE[:2]})
    store.add([40], {"E8": DENSE[:1]})
    store.add(None, {"E8": DENSE[:2]})
    assert set(store.ids()) == {"text", between, -5, 0, 1, 40, 41, 42}


def test_a_batch_may_be_larger_than_anything(store):
    assert store.add(IDS, ARRAYS, batch_size=1 << 70) == ROWS
    assert store.store_many([], batch_size=1 << 70) == 0
