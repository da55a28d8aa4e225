"""Objects in memory read like files: the same arrays, by ranges, and no more than is needed."""

import io
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save as save_tensors

from cgcython import InvalidInput, Profile, ShardWriter, open_corpus
from cgcython.codecs.samples import draw
from cgcython.corpus.memory_ids import id_arrays
from cgcython.errors import FileUnavailable, QuantizationError, UsageError
from cgcython.store.ids import as_key
from cgcython.tensors import read_tensors

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.cluster
PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 16, method = "float8_e4m3" }
    E6 = { dimension = 400, method = "sparse_native" }
    E9 = { dimension = 20, method = "binary" }
    E12 = { dimension = 8, method = "token_pruning" }
    """
)
ROWS = 400


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def arrays_of(rows=ROWS):
    """Return the arrays of some memories; every other one has E12."""
    rng = np.random.default_rng(7)
    nnz, tokens = rng.integers(1, 20, rows), rng.integers(1, 6, rows // 2)
    return {
        "E1": rng.standard_normal((rows, 16), dtype=np.float32),
        "E6.indptr": np.cumsum([0, *nnz]),
        "E6.indices": np.concatenate([np.sort(rng.permutation(400)[:n]) for n in nnz]),
        "E6.weights": rng.uniform(0.1, 2, nnz.sum()).astype(np.float32),
        "E9": rng.standard_normal((rows, 20), dtype=np.float32),
        "E12.values": rng.standard_normal((tokens.sum(), 8), dtype=np.float32),
        "E12.offsets": np.cumsum([0, *tokens]),
        "E12.rows": np.arange(0, rows, 2),
    }


@pytest.fixture
def memory():
    """Return the file system in memory, empty."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


@pytest.fixture
def reads(memory, monkeypatch):
    """Return the list of the ranges that are read of objects in memory."""
    found, read = [], type(memory).cat_file

    def counted(self, path, start=None, end=None, **more):
        found.append((start, end))
        return read(self, path, start, end, **more)

    monkeypatch.setattr(type(memory), "cat_file", counted)
    return found


def put_all(memory, arrays, folder):
    """Write arrays as .npy and .safetensors to objects and files; return both kinds of inputs."""
    memory.pipe("/all.safetensors", save_tensors(arrays))
    (folder / "all.safetensors").write_bytes(save_tensors(arrays))
    for name, array in arrays.items():
        memory.pipe(f"/{name}.npy", npy(array))
        np.save(folder / f"{name}.npy", array)
    names = [f"{one}={{0}}/{one}.npy" for one in ("E1", "E9")]
    return [[one.format(where) for one in names] for where in ("memory:/", folder)]


def archive(arrays, save=np.savez):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["npy", "safetensors", "npz"])
def test_objects_and_files_become_equal_corpora(memory, tmp_path, kind):
    remote, local = put_all(memory, arrays_of(), tmp_path)
    if kind != "npy":
        remote, local = "memory://all.safetensors", tmp_path / "all.safetensors"
    if kind == "npz":
        memory.pipe("/all.npz", archive(arrays_of()))
        remote = "memory://all.npz"
    with open_corpus(remote, PROFILE) as one, open_corpus(local, PROFILE) as other:
        assert repr(one) == repr(other)
        for first, last in ((0, ROWS), (37, 90), (101, 102)):
            for left, right in zip(one.fingerprints(first, last), other.fingerprints(first, last)):
                assert left.keys() == right.keys()
                for model_id, value in left.items():
                    np.testing.assert_equal(value, right[model_id])
            checksums = ([c[e].checksum(first, last) for e in c] for c in (one, other))
            assert next(checksums) == next(checksums)


def test_a_file_in_an_archive_is_read_through_a_chain_of_urls(memory):
    content, file = npy(arrays_of()["E9"]), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("in/x.npy", content)
    memory.pipe("/a.zip", file.getvalue())
    with open_corpus("E9=zip://in/x.npy::memory://a.zip", PROFILE) as corpus:
        batch = corpus["E9"].embeddings.batch(3, 9)
    np.testing.assert_array_equal(batch, arrays_of()["E9"][3:9])


def test_shards_of_objects_hold_what_those_of_files_hold(memory, tmp_path):
    put_all(memory, arrays_of(), tmp_path)
    places = {"a": "memory://all.safetensors", "b": str(tmp_path / "all.safetensors")}
    for name, place in places.items():
        with open_corpus(place, PROFILE) as corpus:
            ShardWriter(tmp_path / name, shard_size=128).write_all(corpus)
    made = [sorted((tmp_path / name).glob("shard*")) for name in places]
    assert len(made[0]) == 4
    for one, other in zip(*made):
        found = [
            {name: array.tobytes() for name, array in read_tensors(path).arrays.items()}
            for path in (one, other)
        ]
        assert found[0] == found[1]


def test_opening_reads_headers_only(memory, reads, tmp_path):
    rows = 40_000
    memory.pipe("/big.npy", npy(np.zeros((rows, 20), np.float32)))
    open_corpus("E9=memory://big.npy", PROFILE)
    assert sum(stop - start for start, stop in reads) <= 1024


def test_rows_of_a_shard_are_one_read(memory, reads):
    memory.pipe("/big.npy", npy(np.arange(20_000, dtype=np.float32).reshape(-1, 20)))
    with open_corpus("E9=memory://big.npy", PROFILE) as corpus:
        reads.clear()
        batch = corpus["E9"].embeddings.batch(100, 200)
    assert batch[0, 0] == 2000
    assert [stop - start for start, stop in reads] == [100 * 80]


def test_bounds_of_a_shard_are_read_before_its_values(memory, reads):
    memory.pipe("/x.safetensors", save_tensors(arrays_of(2000)))
    with open_corpus("memory://x.safetensors", PROFILE) as corpus:
        reads.clear()
        corpus["E6"].piece(500, 600)
        assert (len(reads), reads[0][1] - reads[0][0]) == (3, 101 * 8)
        reads.clear()
        corpus["E12"].piece(500, 600)
        assert len(reads) == 4  # the numbers of the memories: searched once, then read


def test_scattered_rows_are_sorted_and_near_ones_merged(memory, reads):
    values = np.arange(400_000, dtype=np.float32).reshape(-1, 20)
    memory.pipe("/big.npy", npy(values))
    source = open_corpus("E9=memory://big.npy", PROFILE)["E9"].embeddings.values
    reads.clear()
    wanted = np.array([19_999, 3, 5, 3, -19_997])
    np.testing.assert_array_equal(source[wanted], values[wanted])
    assert len(reads) == 2
    np.testing.assert_array_equal(source[5:50:7], values[5:50:7])
    np.testing.assert_array_equal(np.asarray(source), values)
    with pytest.raises(IndexError):
        source[np.array([20_000])]


@pytest.mark.parametrize("ids", [range(ROWS), [f"doc {i}" for i in range(ROWS)], "uuids"])
def test_ids_of_some_rows_are_read_alone(memory, reads, ids):
    uuids = np.random.default_rng(1).integers(0, 256, (ROWS, 16), np.uint8)
    keys = [row.tobytes() for row in uuids] if ids == "uuids" else list(map(as_key, ids))
    memory.pipe("/x.safetensors", save_tensors({"E9": arrays_of()["E9"], **id_arrays(keys)}))
    corpus = open_corpus("memory://x.safetensors", PROFILE, checked=True)
    reads.clear()
    assert corpus.ids[100:110] == keys[100:110]
    assert sum(stop - start for start, stop in reads) < 400
    assert open_corpus("memory://x.safetensors", PROFILE).ids[:] == keys


def test_ids_that_come_twice_are_found_unless_somebody_has_looked(memory):
    arrays = {"E9": np.zeros((2, 20), np.float32), "ids": np.array([7, 7])}
    memory.pipe("/x.safetensors", save_tensors(arrays))
    assert open_corpus("memory://x.safetensors", PROFILE, checked=True).num_memories == 2
    with pytest.raises(InvalidInput, match="no id twice"):
        open_corpus("memory://x.safetensors", PROFILE)


@pytest.mark.parametrize("suffix", ["safetensors", "npy", "npz"])
def test_one_embedder_of_a_shard_reads_under_six_percent(memory, reads, suffix):
    size = 1024
    arrays = arrays_of(17 * size)
    contents = {"npy": npy(arrays["E9"]), "npz": archive(arrays)}
    memory.pipe(f"/x.{suffix}", contents.get(suffix) or save_tensors(arrays))
    place = f"E9=memory://x.{suffix}" if suffix == "npy" else f"memory://x.{suffix}"
    with open_corpus(place, PROFILE) as corpus:
        piece = corpus["E9"].piece(size * 8, size * 9)
    np.testing.assert_array_equal(piece.embeddings.values, arrays["E9"][size * 8 : size * 9])
    assert sum(stop - start for start, stop in reads) < 0.06 * memory.size(f"/x.{suffix}")


def damaged(kind):
    """Return a damaged object and what it is said to be."""
    header = b'{"descr":"<f4","fortran_order":False,"shape":(%d,20)}'
    if kind == "petabytes":
        text = header % (1 << 50)
        return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(
            80
        ), "cut short"
    if kind == "cut":
        return npy(np.zeros((5, 20), np.float32))[:-1], "cut short"
    if kind == "fortran":
        return npy(np.zeros((20, 5), np.float32).T), "ascontiguousarray"
    if kind == "objects":
        return npy(np.array([[{}] * 20], object)), "Python objects"
    return kind.encode(), ".npy file"


@pytest.mark.parametrize("kind", ["petabytes", "cut", "fortran", "objects", "no array", ""])
def test_damaged_objects_are_refused_when_opened(memory, kind):
    content, said = damaged(kind)
    memory.pipe("/x.npy", content)
    with pytest.raises(InvalidInput, match=said):
        open_corpus("E9=memory://x.npy", PROFILE)


@pytest.mark.parametrize(
    "bad", [[0, 5, 3, 9, 12], [0, 5, 9, 12, 1 << 62], [-4, 0, 3, 9, 12], [3, 4, 5, 9, 12]]
)
def test_offsets_that_lie_are_refused_when_they_are_read(memory, bad):
    tokens = np.zeros((12, 8), np.float32)
    arrays = {"E12.values": tokens, "E12.offsets": np.array(bad)}
    memory.pipe("/x.safetensors", save_tensors(arrays))
    corpus = open_corpus("memory://x.safetensors", PROFILE)
    with pytest.raises(InvalidInput, match="ascending positions from 0 to 12"):
        corpus["E12"].embeddings.batch(0, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive({"E9": np.ones((5, 20))}, np.savez_compressed), "save it with numpy.savez"),
        (archive({"E9": np.ones((5, 20))})[:-30], "not a zip file"),
        (archive({"E9": np.ones((5, 20))}).replace(b"PK\3\4", b"PKxx", 1), "begins nowhere"),
        (archive({"E9": np.ones((5, 20))}).replace(b"(5, 20)", b"(9, 99)"), "cut short"),
    ],
)
def test_archives_that_cannot_be_read_by_ranges_are_refused(memory, content, said):
    memory.pipe("/x.npz", content)
    with pytest.raises(InvalidInput, match=said):
        open_corpus("memory://x.npz", PROFILE)


def test_rows_that_do_not_ascend_are_refused(memory):
    arrays = {**arrays_of(8), "E12.rows": np.array([0, 4, 2, 6])}
    memory.pipe("/x.safetensors", save_tensors(arrays))
    with pytest.raises(InvalidInput, match="strictly ascending"):
        open_corpus("memory://x.safetensors", PROFILE).fingerprints(0, 8)


@pytest.mark.parametrize("rows", [5, 2])
def test_an_object_that_changes_between_two_reads_is_named(memory, monkeypatch, rows):
    monkeypatch.setattr("cgcython.corpus.remote.objects.PAUSE", 0)
    memory.pipe("/x.npy", npy(np.zeros((5, 20), np.float32)))
    corpus = open_corpus("E9=memory://x.npy", PROFILE)
    memory.pipe("/x.npy", npy(np.ones((rows, 20), np.float32)))
    with pytest.raises(FileUnavailable, match=r"memory://x.npy: it changed while it was read"):
        corpus["E9"].embeddings.batch(0, 5)
    memory.rm("/x.npy")
    with pytest.raises(FileUnavailable, match="there is no such object"):
        corpus["E9"].embeddings.batch(0, 5)


@pytest.mark.parametrize("times", [1, 9])
def test_a_read_that_fails_is_tried_again_a_few_times(memory, monkeypatch, times):
    monkeypatch.setattr("cgcython.corpus.remote.objects.PAUSE", 0)
    memory.pipe("/x.npy", npy(np.ones((5, 20), np.float32)))
    corpus = open_corpus("E9=memory://x.npy", PROFILE)
    read, left = type(memory).cat_file, [times]

    def failing(self, *given, **more):
        if left[0]:
            left[0] -= 1
            raise OSError("the line is cut")
        return read(self, *given, **more)

    monkeypatch.setattr(type(memory), "cat_file", failing)
    if times == 1:
        assert corpus["E9"].embeddings.batch(0, 5).sum() == 100
    else:
        with pytest.raises(FileUnavailable, match="the line is cut"):
            corpus["E9"].embeddings.batch(0, 5)


def test_errors_that_come_back_as_values_are_raised(memory, monkeypatch):
    memory.pipe("/x.npy", npy(np.ones((5, 20), np.float32)))
    corpus = open_corpus("E9=memory://x.npy", PROFILE)
    error = PermissionError("no right to read it")
    monkeypatch.setattr(type(memory), "cat_ranges", lambda *given, **more: [error])
    with pytest.raises(FileUnavailable, match="no right to read it"):
        corpus["E9"].embeddings.batch(0, 5)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("E9=gs://bucket/x.npy", "pip install gcsfs"),
        ("E9=nosuch://bucket/x.npy", "Protocol not known"),
        ("E9=memory://x.txt", "expected a file ending in"),
        ("E9=memory://x.ipc", "of URLs .npy, .npz, .safetensors"),
        ("E9=memory://x.npy", "there is no such object"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_remedy(memory, place, said):
    with pytest.raises((UsageError, FileUnavailable), match=said):
        open_corpus(place, PROFILE)


def test_no_message_holds_a_password_or_a_signature():
    place = "E9=http://me:secret@127.0.0.1:9/x.npy?signature=secret"
    with pytest.raises(QuantizationError) as caught:
        open_corpus(place, PROFILE)
    told = str(caught.value) + repr(caught.value) + "".join(caught.value.__notes__)
    assert "127.0.0.1:9/x.npy" in told
    assert "secret" not in told


def test_training_reads_the_drawn_rows_alone(memory, reads, monkeypatch):
    monkeypatch.setattr("cgcython.corpus.remote.ranges.GAP_BYTES", 0)
    values = np.random.default_rng(2).standard_normal((20_000, 16), dtype=np.float32)
    memory.pipe("/x.npy", npy(values))
    source = open_corpus("E1=memory://x.npy", PROFILE)["E1"].embeddings.values
    reads.clear()
    found = draw(source, 600, lambda count: count // 10, seed=3)
    assert sum(stop - start for start, stop in reads) < 620 * 64
    expected = draw(values, 600, lambda count: count // 10, seed=3)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.held_out, expected.held_out)
