"""A column file that somebody altered, checksums and all, is made anew like a damaged one."""

import shutil
from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.fingerprint import QuantizedFingerprint
from cgcython.search import FingerprintStore
from cgcython.search.column_files import FORMAT, VERSION, column_path
from cgcython.search.loading import Loader
from cgcython.tensors import read_arrays, write_arrays

IDS = [UUID(int=i << 64) for i in range(1, 13)]
FILES = ("E1", "E2", "E6", "E9", "E12")
HUGE = 2**31
MISSING = object()


@pytest.fixture(scope="module")
def original(memories, tmp_path_factory):
    """Return a store whose tokens are in two layouts, with all columns in files."""
    path = tmp_path_factory.mktemp("altered") / "s"
    coarse = TokenPruningCodec(8, 1.0, layout="compact_int2")
    with FingerprintStore.open(path, memories.codebooks, memories.profile) as store:
        for i, one in enumerate(IDS):
            record = dict(memories.router.quantize_fingerprint(memories.make(i)))
            if i % 2:
                tokens = memories.make(i)[ModelId.LATE_INTERACTION]
                record[ModelId.LATE_INTERACTION] = coarse.encode(tokens)
            store.store_quantized([(one, QuantizedFingerprint(record))])
        store.search(memories.make(0))
        store.save_columns()
        expected = {one: store.search(memories.make(3, [one]), len(IDS)) for one in FILES}
    return path, expected


@pytest.fixture
def alter(original, memories, tmp_path, monkeypatch):
    """Return a function that alters a file and says whether the column was made anew.

    It alters arrays and metadata as they are given to it, and compares the hits.
    """
    read = []
    load = Loader.all
    monkeypatch.setattr(Loader, "all", lambda *args: read.append(args[1].short) or load(*args))

    def made_anew(embedder, change):
        path = shutil.copytree(original[0], tmp_path / "s", dirs_exist_ok=True)
        file = column_path(path, ModelId.parse(embedder))
        arrays, about = read_arrays(file, FORMAT, VERSION)
        arrays = {name: one.copy() for name, one in arrays.items()}
        change(arrays, about)
        write_arrays(file, arrays, about)
        del read[:]
        with FingerprintStore.open(path, read_only=True) as store:
            assert store.search(memories.make(3, [embedder]), len(IDS)) == original[1][embedder]
        return read == [embedder]

    return made_anew


@pytest.mark.parametrize("embedder", FILES)
def test_a_file_that_was_only_written_again_is_believed(alter, embedder):
    assert not alter(embedder, lambda arrays, about: None)


@pytest.mark.parametrize("embedder", FILES)
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("embedder", "E13"),
        ("embedder", MISSING),
        ("position", -1),
        ("position", 2**70),
        ("position", "1"),
        ("position", 1.5),
        ("position", MISSING),
        ("parts", []),
        ("parts", [[]]),
        ("parts", [5]),
        ("parts", None),
        ("parts", MISSING),
        ("parts", [["unknown", 12]]),
    ],
)
def test_other_metadata_are_not_believed(alter, embedder, key, value):
    def change(_, about):
        about.pop(key)
        if value is not MISSING:
            about[key] = value

    assert alter(embedder, change)


@pytest.mark.parametrize("embedder", FILES)
@pytest.mark.parametrize("shared", [(), ("12",), (-1,), (0,), (True,), (12.5,), (3, 5, 7, 9)])
def test_other_things_shared_are_not_believed(alter, embedder, shared):
    def change(_, about):
        about["parts"] = [[name, *shared] for name, *_ in about["parts"]]

    assert alter(embedder, change)


# How many E4M3 codes are one token, a file of E12 cannot tell.
@pytest.mark.parametrize("embedder", ["E1", "E2", "E6", "E9"])
def test_another_dimension_is_not_believed(alter, embedder):
    def change(_, about):
        about["parts"] = [[name, dim + 8, *rest] for name, dim, *rest in about["parts"]]

    assert alter(embedder, change)


RESHAPED = {
    "gone": lambda array: None,
    "shorter": lambda array: array[:-1],
    "wider": lambda array: np.stack([array, array]),
    "of another type": lambda array: array.astype(np.float64),
}


def test_arrays_of_other_shapes_and_types_are_not_believed(alter, original, part):
    for embedder in FILES:
        file = column_path(original[0], ModelId.parse(embedder))
        for name in read_arrays(file, FORMAT, VERSION)[0]:
            for how, reshape in part(RESHAPED.items(), 2):

                def change(arrays, _, name=name, reshape=reshape):
                    found = reshape(arrays.pop(name))
                    if found is not None:
                        arrays[name] = found

                assert alter(embedder, change), (embedder, name, how)


@pytest.mark.parametrize("embedder", FILES)
@pytest.mark.parametrize("name", ["0.more", "7.codes", "codes"])
def test_more_arrays_than_there_are_are_not_believed(alter, embedder, name):
    assert alter(embedder, lambda arrays, _: arrays.update({name: np.zeros(3, np.uint8)}))


@pytest.mark.parametrize("codebook_id", [1.0, "1", None, -1, 2**32])
def test_what_is_no_id_of_a_codebook_is_not_believed(alter, codebook_id):
    def change(_, about):
        about["parts"] = [[name, dim, codebook_id] for name, dim, _ in about["parts"]]

    assert alter("E1", change)


def test_what_are_no_bits_of_tokens_are_not_believed(alter):
    def change(_, about):
        about["parts"] = [[name, dim, *map(float, bits)] for name, dim, *bits in about["parts"]]

    assert alter("E12", change)


@pytest.mark.parametrize("length", [np.nan, np.inf, -1])
@pytest.mark.parametrize("embedder", ["E1", "E2"])
def test_what_is_not_one_over_a_length_is_not_believed(alter, embedder, length):
    def change(arrays, _):
        arrays["0.inverse_norms"][3] = length

    assert alter(embedder, change)


@pytest.mark.parametrize("value", [HUGE, -1, -HUGE])
@pytest.mark.parametrize(
    ("embedder", "name"),
    [
        ("E6", "0.indices"),
        ("E6", "0.indptr"),
        *(("E12", f"{part}.{name}") for part in (0, 1) for name in ("starts", "counts")),
    ],
)
def test_numbers_that_point_outside_are_not_believed(alter, embedder, name, value):
    def change(arrays, _):
        array = arrays[name]
        array[3] = np.int64(value).astype(array.dtype)

    assert alter(embedder, change)
