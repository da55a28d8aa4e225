"""Every way to name inputs, and every way to get them wrong."""

import uuid

import numpy as np
import pytest
from safetensors.numpy import save_file

from cgcython.base import ModelId, Profile
from cgcython.corpus.memory_ids import id_arrays, row_uuid
from cgcython.corpus.opening import open_corpus
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.store.ids import as_key

PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 4, method = "float8_e4m3" }
    E6 = { dimension = 50, method = "sparse_native" }
    E12 = { dimension = 2, method = "token_pruning" }
    """
)
DENSE = np.arange(12, dtype=np.float16).reshape(3, 4)
SPARSE = {
    "E6.indptr": np.array([0, 2, 2, 3]),
    "E6.indices": np.array([3, 9, 49], np.uint16),
    "E6.weights": np.array([1, 2, 3], np.float32),
}
TOKENS = {
    "E12.values": np.arange(10, dtype=np.float32).reshape(5, 2),
    "E12.offsets": np.array([0, 2, 5]),
    "E12.rows": np.array([0, 2]),
}


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "corpus.npz"
    np.savez(path, Semantic=DENSE, **SPARSE, **TOKENS)
    return path


def read(*specs):
    return open_corpus(list(map(str, specs)), PROFILE)


def test_a_file_may_name_its_arrays_by_embedder(npz):
    corpus = read(npz)
    assert [one.short for one in corpus] == ["E1", "E6", "E12"]
    assert corpus.num_memories == 3


def test_safetensors_read_like_npz(npz, tmp_path):
    save_file({"Semantic": DENSE, **SPARSE, **TOKENS}, tmp_path / "corpus.safetensors")
    for one, other in zip(read(npz).values(), read(tmp_path / "corpus.safetensors").values()):
        for part in one.embeddings.parts:
            np.testing.assert_array_equal(
                getattr(one.embeddings, part), getattr(other.embeddings, part)
            )


def test_foreign_names_are_listed_after_the_file(tmp_path):
    np.savez(tmp_path / "x.npz", d=DENSE, p=SPARSE["E6.indptr"], i=[3, 9, 49], w=[1.0, 2, 3])
    corpus = read(f"e1={tmp_path}/x.npz:d", f"sparse={tmp_path}/x.npz:p,i,w")
    assert corpus.fingerprints(0, 1)[0][ModelId.SPARSE].indices.tolist() == [3, 9]


def test_memories_without_an_embedder_have_none(npz):
    memories = read(npz).fingerprints(0, 3)
    assert ModelId.LATE_INTERACTION not in memories[1]
    np.testing.assert_array_equal(memories[2][ModelId.LATE_INTERACTION], TOKENS["E12.values"][2:])


def test_rows_of_a_foreign_file_come_after_the_at_sign(tmp_path):
    np.savez(tmp_path / "t.npz", v=TOKENS["E12.values"], o=[0, 2, 5], index=[1, 4])
    corpus = read(f"E12={tmp_path}/t.npz:v,o@index")
    assert [bool(one) for one in corpus.fingerprints(0, 5)] == [False, True, False, False, True]


def test_any_range_of_memories_is_the_same_memories(npz):
    corpus = read(npz)
    whole, part = corpus.fingerprints(0, 3), corpus.fingerprints(1, 3)
    assert [list(one) for one in whole[1:]] == [list(one) for one in part]


def test_ids_follow_from_row_numbers(npz):
    assert read(npz).ids[1:3] == [as_key(1), as_key(2)]


def test_ids_follow_a_store_of_an_earlier_release(npz):
    ids = read(npz).ids
    assert ids.as_known(set())[:] == ids.as_known({1, 2})[:] == ids[:]
    assert uuid.UUID(bytes=row_uuid(1)).version == 5
    assert ids.as_known({uuid.UUID(bytes=row_uuid(1))})[:2] == [row_uuid(0), row_uuid(1)]


TEXTS, NUMBERS = ["a", "ä" * 20, "5"], [-7, 5, 2**63 - 1]


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        (TEXTS, TEXTS),
        (np.array([one.encode() for one in TEXTS]), TEXTS),
        (np.array(NUMBERS), NUMBERS),
        (np.array([0, 1, 2**64 - 1], np.uint64), [0, 1, 2**64 - 1]),
        (np.array([1, 2, 3], np.uint8), [1, 2, 3]),
    ],
)
def test_ids_may_be_text_and_integers(tmp_path, given, ids):
    np.savez(tmp_path / "x.npz", E1=DENSE, ids=given)
    assert read(tmp_path / "x.npz").ids[:] == [*map(as_key, ids)]


MIXED = [5, "5", uuid.UUID(int=5)]


def test_ids_of_all_kinds_may_be_listed():
    found = [open_corpus({"E1": DENSE, "ids": MIXED}, PROFILE) for _ in range(2)]
    assert found[0].ids[:] == [*map(as_key, MIXED)]
    assert found[0].stamps() == found[1].stamps()
    array = {"E1": DENSE, "ids": np.array(MIXED, object)}
    assert open_corpus(array, PROFILE).ids[:] == [*map(as_key, MIXED)]


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (MIXED, ["ids.data", "ids.offsets"]),
        (TEXTS, ["ids.data", "ids.offsets"]),
        (NUMBERS, ["ids"]),
        ([2**64 - 1, 1], ["ids"]),
        ([2**64 - 1, -1], ["ids.data", "ids.offsets"]),
        ([uuid.UUID(int=1)], ["ids"]),
    ],
)
def test_ids_of_all_kinds_are_read_as_they_are_written(tmp_path, ids, names):
    keys = [*map(as_key, ids)]
    arrays = id_arrays(keys)
    assert list(arrays) == names
    np.savez(tmp_path / "x.npz", E1=DENSE[: len(ids)], **arrays)
    assert read(tmp_path / "x.npz").ids[:] == keys


@pytest.mark.parametrize("ids", [[5, 5], ["a", ""], [1.5, 2, 3], [[1], [2], [3]], [None, 1, 2]])
def test_lists_of_no_ids_are_refused(ids):
    with pytest.raises(InvalidInput, match="id"):
        open_corpus({"E1": DENSE[: len(ids)], "ids": ids}, PROFILE)


@pytest.mark.parametrize("as_text", [False, True])
def test_ids_may_be_given(tmp_path, as_text):
    ids = [uuid.UUID(int=i) for i in (7, 8, 9)]
    given = [str(i) for i in ids] if as_text else np.array([list(i.bytes) for i in ids], np.uint8)
    np.savez(tmp_path / "x.npz", E1=DENSE, ids=given)
    assert read(tmp_path / "x.npz").ids[:] == [i.bytes for i in ids]


BAD = {
    "a column of another length": {"E1": DENSE[:2], **SPARSE},
    "rows that do not ascend": {"E1": DENSE, **TOKENS, "E12.rows": [2, 0]},
    "negative rows": {**TOKENS, "E12.rows": [-1, 0]},
    "too few rows": {**TOKENS, "E12.rows": [1]},
    "offsets beyond the end": {**TOKENS, "E12.offsets": [0, 2, 6]},
    "offsets that go back": {**TOKENS, "E12.offsets": [0, 7, 5]},
    "no offsets": {"E12.values": TOKENS["E12.values"]},
    "a name of no embedder": {"E14": DENSE},
    "text for numbers": {"E1": np.array([["a"]])},
    "ids twice": {"E1": DENSE, "ids": np.zeros((3, 16), np.uint8)},
    "too few ids": {"E1": DENSE, "ids": np.zeros((2, 16), np.uint8)},
    "an embedder outside the profile": {"E8": DENSE},
}


@pytest.mark.parametrize("arrays", BAD.values(), ids=BAD)
def test_bad_arrays_are_refused(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InvalidInput):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize("arrays", [DENSE, 5, [5], [DENSE[0]]])
def test_arrays_without_names_are_refused(arrays):
    with pytest.raises(InvalidInput, match="input"):
        open_corpus(arrays)


def test_another_dimension_names_the_input(tmp_path):
    np.save(tmp_path / "x.npy", DENSE[:, :3])
    with pytest.raises(DimensionMismatch) as caught:
        read(f"E1={tmp_path}/x.npy")
    assert "x.npy" in caught.value.__notes__[-1]


def test_two_inputs_for_one_embedder_are_refused(npz):
    with pytest.raises(InvalidInput, match="E1: expected one input"):
        read(npz, f"E1={npz}:Semantic")


def test_arrays_in_memory_are_inputs_too(npz):
    with np.load(npz) as arrays:
        corpus = open_corpus(dict(arrays), PROFILE)
    assert corpus.num_memories == 3
    np.testing.assert_array_equal(corpus["E1"].embeddings.values, DENSE)
    both = open_corpus([SPARSE, {ModelId.SEMANTIC: DENSE.tolist()}], PROFILE)
    assert list(both) == [ModelId.SEMANTIC, ModelId.SPARSE]


def test_one_input_needs_no_list(npz):
    assert list(open_corpus(npz, PROFILE)) == list(open_corpus(str(npz), PROFILE)) == list(PROFILE)


def test_a_corpus_is_a_mapping_by_any_name(npz):
    corpus = read(npz)
    assert corpus["Semantic"] is corpus[ModelId.SEMANTIC]
    assert ("E1" in corpus, "E9" in corpus, "nonsense" in corpus) == (True, False, False)
    assert repr(corpus) == "Corpus(memories=3, embedders=[E1, E6, E12])"
    assert list(corpus.ranges(2)) == [(0, 2), (2, 3)]


def test_stamps_tell_inputs_from_others(npz, tmp_path):
    assert read(npz).stamps() == read(npz).stamps()
    one, other = (open_corpus({"E1": DENSE + i}, PROFILE).stamps() for i in (0, 1))
    assert one == open_corpus({"E1": DENSE.copy()}, PROFILE).stamps()
    assert one != other
