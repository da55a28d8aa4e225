"""Batches of every codec are cut, joined and kept in files, row by row as they were."""

import ml_dtypes
import numpy as np
import pytest
from codec_cases import CASES
from looping import looped

from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.errors import FileUnavailable, InvalidInput, StorageCorruption
from cgcython.records import QuantizedBatch

BATCHES = [(case.codec, case.codec.encode_batch(case.inputs)) for case in CASES]
NAMES = [f"{codec.method}-{i}" for i, (codec, _) in enumerate(BATCHES)]
PICKS = [
    slice(2, 5),
    slice(None, None, -2),
    slice(3, 3),
    slice(5, 2),
    [7, 2, -1, 2],
    np.eye(9)[3] > 0,
]
every_method = pytest.mark.parametrize(("codec", "batch"), BATCHES, ids=NAMES)


@every_method
@looped("rows", PICKS)
def test_some_rows_are_a_batch_of_them(codec, batch, rows):
    expected = np.arange(9)[rows]
    assert codec.rows(batch[rows]) == [codec.row(batch, int(i)) for i in expected]


@every_method
def test_slices_of_rows_copy_no_codes(codec, batch):
    name = "data" if codec.ragged else "codes"
    assert np.shares_memory(batch[2:7].columns[name], batch.columns[name])


@every_method
def test_parts_are_joined_again(codec, batch):
    joined = QuantizedBatch.concatenate([batch[:4], batch[4:4], batch[4:]])
    assert codec.rows(joined) == codec.rows(batch)
    assert [*joined.columns] == [*batch.columns]


@every_method
def test_a_file_gives_the_batch_back(codec, batch, tmp_path):
    batch.save(tmp_path / "a")
    for verify in (False, True):
        loaded = QuantizedBatch.load(tmp_path / "a", verify=verify)
        assert codec.rows(loaded) == codec.rows(batch)
        assert loaded.shared == batch.shared
    batch[1:3].save(tmp_path / "b")
    assert codec.rows(QuantizedBatch.load(tmp_path / "b")) == codec.rows(batch)[1:3]


def test_loaded_batches_are_mapped(tmp_path):
    batch = Float8Codec(36).encode_batch(CASES[0].inputs)
    batch.save(tmp_path / "a")
    assert isinstance(QuantizedBatch.load(tmp_path / "a").columns["codes"].base, np.memmap)


def test_float8_codes_are_those_of_ml_dtypes():
    values = np.linspace(-448, 448, 36, dtype=np.float32)
    batch = Float8Codec(36).encode_batch([values])
    viewed = batch.view(ml_dtypes.float8_e4m3fn)
    np.testing.assert_array_equal(viewed[0], values.astype(ml_dtypes.float8_e4m3fn))
    assert np.shares_memory(viewed, batch.columns["codes"])


@pytest.mark.parametrize(
    ("codec", "dtype", "message"),
    [
        (BinaryCodec(36), ml_dtypes.float8_e4m3fn, "codes of binary as uint8 or int8"),
        (Float8Codec(36), np.float16, "uint8 or int8 or float8_e4m3fn, got float16"),
        (Float8Codec(36), "nonsense", "after `import ml_dtypes`"),
        (CASES[5].codec, np.uint8, "codes of sparse_native"),
    ],
)
def test_views_of_other_types_are_refused(codec, dtype, message):
    batch = next(one for own, one in BATCHES if own.method is codec.method)
    with pytest.raises(InvalidInput, match=message):
        batch.view(dtype)


def test_only_batches_of_one_kind_are_joined():
    one, other = (BinaryCodec(36, t).encode_batch(CASES[0].inputs) for t in (0.0, 0.5))
    message = "binary, 36 values, threshold 0.0, got binary, 36 values, threshold 0.5"
    with pytest.raises(InvalidInput, match=message):
        QuantizedBatch.concatenate([one, other])
    with pytest.raises(InvalidInput, match="at least one, got none"):
        QuantizedBatch.concatenate([])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (3, r"codec.row\(batch, i\) returns a single one"),
        ([9], "-9 to 8, got 9 to 9"),
        ("a", "rows"),
    ],
)
def test_rows_that_are_not_there_are_refused(rows, message):
    with pytest.raises(InvalidInput, match=message):
        BATCHES[0][1][rows]


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "a"
    BATCHES[0][1].save(path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StorageCorruption, match="the checksum of"):
        QuantizedBatch.load(path, verify=True)
    path.write_bytes(data[:-20])
    with pytest.raises(StorageCorruption):
        QuantizedBatch.load(path)
    with pytest.raises(FileUnavailable):
        QuantizedBatch.load(tmp_path / "none")
