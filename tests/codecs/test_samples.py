"""Rows are drawn from where they lie: no others are read, in any number type, of any size."""

import subprocess
import sys

import numpy as np
import pytest

from cgcython import NonFiniteValue, PQ8Codebook
from cgcython.codecs.samples import as_source, chosen, draw, some_rows
from cgcython.codecs.sizes import train_smallest
from cgcython.errors import DimensionMismatch, InvalidInput
from cgcython.tensors import read_tensors, write_tensors

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
ROWS = np.random.default_rng(0).standard_normal((600, 16)).astype(np.float32)


def tenth(count):
    return count // 10


def test_all_rows_are_drawn_once():
    rows, held_out, given = draw(ROWS, 1000, tenth, seed=3)
    order = chosen(600, 1000, seed=3)
    assert np.array_equal(held_out, ROWS[np.sort(order[:60])])
    assert np.array_equal(rows, ROWS[np.sort(order[60:])])
    assert given == 600


def test_of_many_rows_no_other_is_read():
    rows = np.full((9000, 16), np.nan, np.float32)
    wanted = chosen(9000, 400, seed=5)
    rows[wanted] = ROWS[:400]
    drawn = draw(rows, 400, tenth, seed=5)
    assert (len(drawn.rows), len(drawn.held_out), drawn.given) == (360, 40, 9000)
    book = PQ8Codebook.train(rows, sample=400, seed=5, rotation=None)
    assert (book.metadata["samples"], book.metadata["samples_given"]) == (400, 9000)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.astype(np.float16),
        ROWS.astype(">f8"),
        np.asfortranarray(ROWS),
        np.repeat(ROWS, 2, axis=0)[::2],
        ROWS.tolist(),
        (ROWS * 9).astype(np.int16),
    ],
    ids=["f16", "big-endian f64", "fortran", "strided", "list", "i16"],
)
def test_any_number_type_and_order_of_memory_trains(rows):
    as_given = PQ8Codebook.train(rows, rotation="pca", sample=300)
    assert as_given == PQ8Codebook.train(np.array(rows, np.float32), rotation="pca", sample=300)


def test_mapped_files_train_as_arrays_in_memory_do(tmp_path):
    rows = ROWS.astype(np.float16)
    np.save(tmp_path / "rows.npy", rows)
    write_tensors(tmp_path / "rows.safetensors", {"E1": rows})
    expected = PQ8Codebook.train(rows, rotation=None)
    for mapped in (
        np.load(tmp_path / "rows.npy", mmap_mode="r"),
        read_tensors(tmp_path / "rows.safetensors")[0]["E1"],
    ):
        assert isinstance(mapped, np.memmap)
        assert PQ8Codebook.train(mapped, rotation=None) == expected


def test_a_row_that_is_not_finite_is_named_by_its_place_in_the_source():
    rows = ROWS.copy()
    rows[chosen(600, 300, seed=0)[7], 2] = np.inf
    with pytest.raises(NonFiniteValue) as caught:
        some_rows(rows, 300, seed=0)
    assert caught.value.index == np.flatnonzero(np.isinf(rows))[0]


def test_what_is_no_matrix_of_numbers_is_refused():
    with pytest.raises(DimensionMismatch, match="expected 2 dimensions"):
        as_source(ROWS[0])
    with pytest.raises(InvalidInput, match="array of real numbers"):
        PQ8Codebook.train(ROWS.astype(complex))
    for sample in (255, 1e3, "all"):
        with pytest.raises(InvalidInput, match="sample: expected 256 or more"):
            PQ8Codebook.train(ROWS, sample=sample)


class Dataset:
    """Rows that are read by number, as those of h5py and zarr are; it counts what is read."""

    def __init__(self, rows, **claims):
        self.rows, self.dtype, self.read = rows, rows.dtype, set()
        self.shape = claims.get("shape", rows.shape)
        self.taken = claims.get("taken", lambda found: found)

    def __getitem__(self, rows):
        numbers = np.arange(len(self.rows))[rows]
        assert (np.diff(numbers) > 0).all()
        self.read.update(numbers.tolist())
        return self.taken(self.rows[rows])


def test_any_source_of_rows_trains_and_no_other_rows_are_read():
    many = np.tile(ROWS, (10, 1)).astype(np.float16)
    source = Dataset(many)
    trained = PQ8Codebook.train(source, sample=300, rotation="pca")
    assert trained == PQ8Codebook.train(many, sample=300, rotation="pca")
    assert source.read == set(chosen(len(many), 300, seed=0).tolist())
    read = Dataset(many)
    train_smallest(read, 0.9, sample=300, rotation=None)
    assert read.read == set(chosen(len(many), 300, seed=0).tolist())


def test_arrays_of_zarr_are_sources():
    zarr = pytest.importorskip("zarr")
    source = zarr.array(ROWS, chunks=(64, 16))
    assert PQ8Codebook.train(source, rotation=None) == PQ8Codebook.train(ROWS, rotation=None)


@pytest.mark.parametrize(
    "source",
    [
        Dataset(ROWS, shape=(6000, 16)),
        Dataset(ROWS, shape=(600, 17)),
        Dataset(ROWS, shape=(600.5, 16)),
        Dataset(ROWS, shape=(-1, 16)),
        Dataset(ROWS, taken=lambda rows: rows[:-1]),
        Dataset(ROWS, taken=lambda rows: np.roll(rows, 1, axis=0)),
        Dataset(ROWS, taken=lambda rows: None),
        Dataset(ROWS, taken=lambda rows: rows.astype(str)),
    ],
    ids=["longer", "wider", "no number", "negative", "a row less", "others", "none", "text"],
)
def test_a_source_that_does_not_return_the_rows_it_has_is_refused(source):
    with pytest.raises(InvalidInput):
        PQ8Codebook.train(source, sample=300)


def test_errors_of_a_source_say_what_was_asked_for():
    def gone(rows):
        raise OSError("the disk is gone")

    with pytest.raises(InvalidInput, match=r"300 rows of 16 values.*the disk is gone"):
        PQ8Codebook.train(Dataset(ROWS, taken=gone), sample=300)
    with pytest.raises(DimensionMismatch, match="expected 2 dimensions"):
        as_source(Dataset(ROWS[0]))


HUGE = """
import resource, sys, numpy as np
from numpy.lib.format import open_memmap
from cgcython import PQ8Codebook
from cgcython.codecs.samples import chosen
from cgcython.codecs.sizes import train_smallest
rows = open_memmap(sys.argv[1], "w+", "<f2", (1_600_000_000, 64))
wanted = np.sort(chosen(len(rows), 400, seed=0))
rng = np.random.default_rng(0)
rows[wanted] = rng.standard_normal((400, 20)) @ rng.standard_normal((20, 64))
rows = np.load(sys.argv[1], mmap_mode="r")
resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))
book = PQ8Codebook.train(rows, sample=400, rotation=None)
print(book.metadata["samples_given"], book.metadata["held_out_loss"])
print(train_smallest(rows, 0.9, sample=400, rotation=None)[0].metadata["samples"])
"""


def test_a_map_of_200_gigabytes_trains_in_one(tmp_path):
    path = tmp_path / "huge.npy"
    try:
        with open(path, "wb") as file:
            file.truncate(210_000_000_000)
    except OSError as error:
        pytest.skip(f"no sparse files here: {error}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HUGE, path], capture_output=True, text=True
    )
    path.unlink()
    given, loss, samples = done.stdout.split() or pytest.fail(done.stderr)
    assert (int(given), int(samples)) == (1_600_000_000, 400)
    assert 0 < float(loss) < 0.9  # of the zeros elsewhere nothing is lost
