"""The nearest codes are those whose decoded vectors are nearest; filters and finer codes hold."""

import pickle
import threading

import faiss
import numpy as np
import pytest
from structured import clustered

from cgcython import (
    CodebookMissing,
    CodeIndex,
    InvalidInput,
    PQ8Codebook,
    QuantizationError,
    StorageCorruption,
)
from cgcython.errors import UnsupportedVersion
from cgcython.search import code_file, code_loading, nearest_codes

pytestmark = pytest.mark.filterwarnings("ignore::cgcython.CodebookWarning")
DIM, K = 32, 10
ROWS, QUERIES = clustered(DIM, 6000), clustered(DIM, 5, seed=2)


@pytest.fixture(scope="module", params=[None, "pca"])
def book(request):
    return PQ8Codebook.train(ROWS[:2000], rotation=request.param, width=request.param and 24)


@pytest.fixture(scope="module")
def index(book):
    return CodeIndex(book, book.encode(ROWS))


def exact(book, queries, rows=ROWS):
    """Return the squared distances of queries to what the rows decode to."""
    decoded = book.decode(book.encode(rows)).astype(np.float64)
    return ((queries[:, None].astype(np.float64) - decoded) ** 2).sum(2)


def test_distances_are_those_of_the_decoded_vectors(book, index):
    for query, expected in zip(QUERIES, exact(book, QUERIES)):
        np.testing.assert_allclose(index.distances(query), expected, rtol=1e-4)


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_the_nearest_are_exact_and_in_order(book, index, num_threads):
    ids, distances = index.search(QUERIES, K, num_threads=num_threads)
    all_distances = np.stack([index.distances(query) for query in QUERIES])
    order = np.argsort(all_distances, axis=1, kind="stable")[:, :K]
    assert np.array_equal(ids, order)
    assert np.array_equal(distances, np.take_along_axis(all_distances, order, 1))


def test_symmetric_distances_are_those_of_the_decoded_query(book, index):
    decoded = book.decode(book.encode(QUERIES))
    for query, expected in zip(QUERIES, exact(book, decoded)):
        found = index.distances(query, symmetric=True)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        ids, _ = index.search(query, 1, symmetric=True)
        assert found[ids[0]] == found.min()


def test_faiss_finds_the_same_neighbours():
    book = PQ8Codebook.train(ROWS[:2000], rotation=None)
    theirs = faiss.IndexPQ(DIM, 8, 8)
    faiss.copy_array_to_vector(book.centroids.ravel(), theirs.pq.centroids)
    theirs.is_trained = True
    codes = book.encode(ROWS)
    theirs.add_sa_codes(codes)
    distances, _ = theirs.search(QUERIES, K)
    np.testing.assert_allclose(CodeIndex(book, codes).search(QUERIES, K)[1], distances, rtol=1e-4)


@pytest.mark.parametrize("chunks", [[6000], [63, 1, 936, 5000], [64, 5936]])
def test_adding_in_parts_is_adding_at_once(book, index, chunks):
    grown, start = CodeIndex(book), 0
    for size in chunks:
        grown.add(book.encode(ROWS[start : start + size]))
        start += size
    assert np.array_equal(grown.arrays["blocks"], index.arrays["blocks"])
    assert np.array_equal(grown.codes(np.arange(6000)), book.encode(ROWS))


def test_a_filter_leaves_only_its_ids(book):
    ids = np.arange(6000)[::-1] * 7
    index = CodeIndex(book, book.encode(ROWS), ids)
    among = ids[100:200]
    found, distances = index.search(QUERIES[0], K, among=np.append(among, 5))
    expected = index.distances(QUERIES[0], np.arange(100, 200))
    assert set(found) <= set(among)
    assert np.array_equal(distances, np.sort(expected)[:K])


@pytest.mark.parametrize("num_threads", [1, 3])
def test_a_filter_is_met_a_part_at_a_time(book, index, num_threads, monkeypatch):
    monkeypatch.setattr(nearest_codes, "GATHERED", 100)
    among = np.arange(0, 6000, 3)
    found = index.search(QUERIES[0], K, among=among, num_threads=num_threads)
    all_distances = index.distances(QUERIES[0], among)
    order = np.argsort(all_distances, kind="stable")[:K]
    assert np.array_equal(found, [among[order], all_distances[order]])


def test_ids_of_any_size_filter_exactly(book):
    ids = [2**60 + 1, 2**60 + 2, -5]
    index = CodeIndex(book, book.encode(ROWS[:3]), ids)
    found, _ = index.search(QUERIES[0], among=np.array([2**60 + 2, 2**64 - 5], np.uint64))
    assert found.tolist() == [2**60 + 2]
    with pytest.raises(InvalidInput, match=r"below 2\*\*63"):
        CodeIndex(book, book.encode(ROWS[:1]), np.array([2**63], np.uint64))


@pytest.mark.parametrize("queries", [0, 1, 5])
def test_queries_share_threads_without_changing_anything(index, queries):
    alone = index.search(QUERIES[:queries], K, among=range(1000))
    together = index.search(QUERIES[:queries], K, among=range(1000), num_threads=2)
    assert alone[0].shape == (queries, K)
    assert all(np.array_equal(*pair) for pair in zip(alone, together))


def test_a_filter_of_nothing_finds_nothing(index):
    assert [len(one) for one in index.search(QUERIES[0], among=[])] == [0, 0]


def test_finer_codes_order_the_shortlist(book, index):
    fine = PQ8Codebook.train(ROWS[:2000], 32, rotation=None)
    finer = CodeIndex(fine, fine.encode(ROWS))
    ids, distances = index.search(QUERIES[0], K, finer=finer, oversample=20)
    shortlist, _ = index.search(QUERIES[0], 20 * K)
    assert set(ids) <= set(shortlist)
    assert np.array_equal(distances, np.sort(finer.distances(QUERIES[0], shortlist))[:K])


def test_a_symmetric_shortlist_is_ordered_by_asymmetric_distances(index):
    ids, distances = index.search(QUERIES[0], K, symmetric=True, finer=index, oversample=20)
    shortlist, _ = index.search(QUERIES[0], 20 * K, symmetric=True)
    assert np.array_equal(distances, np.sort(index.distances(QUERIES[0], shortlist))[:K])
    assert set(ids) <= set(shortlist)


def test_an_index_keeps_the_bytes_of_its_codes_and_no_more(book, index):
    assert index.arrays["blocks"].nbytes == -(-len(ROWS) // 64) * 64 * book.num_subvectors


def test_an_empty_index_finds_nothing(book):
    assert [len(one) for one in CodeIndex(book).search(QUERIES[0])] == [0, 0]


@pytest.mark.parametrize("k", [129, 1000, 5999, 6000, 10**6])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_any_number_of_the_nearest_is_exact_and_in_order(index, k, num_threads, monkeypatch):
    monkeypatch.setattr(nearest_codes, "GATHERED", 640)
    distances = index.distances(QUERIES[0])
    order = np.argsort(distances, kind="stable")[:k]
    for among in (None, range(6000)):
        found = index.search(QUERIES[0], k, among=among, num_threads=num_threads)
        assert np.array_equal(found, [order, distances[order]])


@pytest.mark.parametrize("k", [0, 1, 7, 40, 200])
def test_a_selection_keeps_the_first_of_equals(k):
    distances = np.random.default_rng(k).integers(0, 9, 1000).astype(np.float32)
    selection = nearest_codes.Selection(k)
    for start in range(0, 1000, 70):
        some = distances[start : start + 70]
        selection.add(np.arange(start, start + len(some)), some)
    rows, found = selection.found()
    order = np.argsort(distances, kind="stable")[:k]
    assert np.array_equal(rows, order)
    assert np.array_equal(found, distances[order])


@pytest.mark.parametrize("power", [-140, -90, 83, 120])
def test_the_scale_of_values_changes_no_row(book, power):
    scaled = PQ8Codebook(
        np.ldexp(book.centroids, power),
        book.rotation,
        None if book.mean is None else np.ldexp(book.mean, power),
    )
    index = CodeIndex(book, book.encode(ROWS[:500]))
    large = CodeIndex(scaled, book.encode(ROWS[:500]))
    query = np.ldexp(QUERIES[0], power)
    if power > -100:  # below, float32 itself rounds the query
        for how in ({}, {"symmetric": True}, {"finer": large}, {"among": range(300)}):
            plain = {**how, "finer": index} if "finer" in how else how
            expected = index.search(QUERIES[0], 20, **plain)
            with np.errstate(all="raise"):
                ids, distances = large.search(query, 20, **how)
            assert np.array_equal(ids, expected[0])
            with np.errstate(over="ignore", under="ignore"):
                assert np.array_equal(distances, np.ldexp(expected[1], 2 * power))
    found = large.search(query, 20)[0]
    assert len(set(found) & set(index.search(QUERIES[0], 20)[0])) >= 18


def test_any_collection_of_ids_is_a_filter(index):
    expected = index.search(QUERIES[0], 3, among=[1, 2, 3])
    numbers = [3, 2, 1, -1, 10**9, 2**63, -(2**70)]
    filters = [{1, 2, 3}, {1: 0, 2: 0, 3: 0}.keys(), (i for i in (1, 2, 3)), range(1, 4), numbers]
    for among in (*filters, np.array([1, 2, 3, 2**63], np.uint64)):
        assert np.array_equal(index.search(QUERIES[0], 3, among=among), expected)


def test_an_index_tells_what_it_is(book):
    index = CodeIndex(book, book.encode(ROWS[:70]), range(70))
    assert repr(index).startswith("CodeIndex(rows=70, with ids, nbytes=1584, PQ8Codebook(")


def test_an_index_survives_pickling(index):
    again = pickle.loads(pickle.dumps(index))
    again.add(index.codes([0]))
    assert np.array_equal(again.search(QUERIES, K), index.search(QUERIES, K))
    assert (len(again), len(index)) == (6001, 6000)


def test_threads_search_while_others_add(book):
    index, codes, wrong = CodeIndex(book), book.encode(ROWS[:50]), []

    def work(number):
        for _ in range(20):
            index.add(codes, np.arange(50) + 50 * number)
            ids, distances = index.search(QUERIES[0], 200)
            if len(ids) != len(distances) or len(index) < len(ids):
                wrong.append((number, len(ids)))

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, len(index)) == ([], 8 * 20 * 50)
    assert sorted(index.ids.tolist()) == sorted([*range(400)] * 20)


ODD = [
    lambda index: index.search(QUERIES[0], "ten"),
    lambda index: index.search(QUERIES[0], None),
    lambda index: index.search(QUERIES[0], True),
    lambda index: index.search(QUERIES[0], 2.5),
    lambda index: index.search([[1.0], [1.0, 2.0]]),
    lambda index: index.search(None),
    lambda index: index.search("query"),
    lambda index: index.search(np.zeros((2, 2, DIM))),
    lambda index: index.search(np.full(DIM, np.nan)),
    lambda index: index.search(np.full((2, DIM), np.inf)),
    lambda index: index.search(QUERIES[0][:-1]),
    lambda index: index.search(QUERIES[0], among=7),
    lambda index: index.search(QUERIES[0], among="7"),
    lambda index: index.search(QUERIES[0], among=[[1], 2]),
    lambda index: index.search(QUERIES[0], among=[1.5]),
    lambda index: index.search(QUERIES[0], among=[np.timedelta64(1, "s")]),
    lambda index: index.search(QUERIES[0], finer=7),
    lambda index: index.search(QUERIES[0], finer=index, oversample=0),
    lambda index: index.search(QUERIES[0], num_threads=-1),
    lambda index: index.codes([[0]]),
    lambda index: index.codes(0),
    lambda index: index.codes(None),
    lambda index: index.distances(QUERIES[0], "rows"),
    lambda index: index.distances(QUERIES),
    lambda index: index.add(None),
    lambda index: index.add([[1] * 8]),
    lambda index: CodeIndex(index.codebook, [], [1]),
    lambda index: CodeIndex("codebook"),
    lambda index: CodeIndex.load(7, index.codebook),
    lambda index: CodeIndex.load("\0", index.codebook),
    lambda index: index.save(None),
    lambda index: CodeIndex(index.codebook, np.zeros((1, 8), np.uint8), [0.5]),
]


@pytest.mark.parametrize("call", ODD)
def test_odd_arguments_are_named(index, call):
    with pytest.raises(QuantizationError):
        call(index)


def test_wrong_input_is_refused(book, index):
    for codes in (np.zeros((2, 9), np.uint8), np.zeros((2, 8), np.int32), np.zeros(8, np.uint8)):
        with pytest.raises(InvalidInput, match="codes: expected u8"):
            CodeIndex(book, codes)
    with pytest.raises(InvalidInput, match="ids for all rows, or for none"):
        index.add(np.zeros((1, 8), np.uint8), [4])
    with pytest.raises(InvalidInput, match="3 whole numbers"):
        CodeIndex(book, np.zeros((3, 8), np.uint8), [1, 2])
    with pytest.raises(InvalidInput, match="k: expected 0 or more"):
        index.search(QUERIES[0], -1)
    with pytest.raises(InvalidInput, match="among"):
        index.search(QUERIES[0], among=[0.5])
    with pytest.raises(InvalidInput, match=r"rows: expected 0 to 5999, got -1 to 2"):
        index.codes([2, -1])
    with pytest.raises(InvalidInput, match="rows"):
        index.distances(QUERIES[0], [6000])
    with pytest.raises(InvalidInput, match="finer: expected a CodeIndex of the same 6000 rows"):
        index.search(QUERIES[0], finer=CodeIndex(book, book.encode(ROWS[:9])))
    with pytest.raises(InvalidInput, match="num_threads"):
        index.search(QUERIES, num_threads=0)


def test_the_first_codes_decide_whether_there_are_ids(book):
    index = CodeIndex(book)
    index.add(book.encode(ROWS[:2]), [7, 9])
    index.add(book.encode(ROWS[2:3]), [8])
    assert sorted(index.search(QUERIES[0])[0]) == [7, 8, 9]


@pytest.fixture(params=["rows", "ids"])
def saved(request, book, tmp_path):
    ids = None if request.param == "rows" else np.arange(100) * 3
    index = CodeIndex(book, book.encode(ROWS[:100]), ids)
    index.save(tmp_path / "index.safetensors")
    return index, tmp_path / "index.safetensors"


@pytest.mark.parametrize("verify", [False, True])
def test_a_saved_index_is_mapped_and_finds_the_same(book, saved, verify):
    index, path = saved
    loaded = CodeIndex.load(path, book, verify=verify)
    assert not loaded.arrays["blocks"].flags.owndata
    assert not loaded.arrays["blocks"].flags.writeable
    for again, first in zip(loaded.search(QUERIES, K), index.search(QUERIES, K)):
        assert np.array_equal(again, first)
        assert type(again) is np.ndarray
    ids = None if index.ids is None else [1]
    loaded.add(book.encode(ROWS[:1]), ids)
    assert len(loaded) == 101


def test_an_empty_index_is_saved_too(book, tmp_path):
    CodeIndex(book).save(tmp_path / "empty.safetensors")
    assert len(CodeIndex.load(tmp_path / "empty.safetensors", book, verify=True)) == 0


def test_another_codebook_does_not_read_the_codes(book, saved):
    other = PQ8Codebook(book.centroids + 1, book.rotation, book.mean)
    with pytest.raises(CodebookMissing, match=f"{book.codebook_id:#010x}"):
        CodeIndex.load(saved[1], other)


def test_a_flipped_byte_and_a_cut_anywhere_are_told(book, saved, part):
    index, path = saved
    whole = path.read_bytes()
    for at in part(range(len(whole)), 20):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            found = CodeIndex.load(path, book, verify=True)
        except (StorageCorruption, CodebookMissing):
            continue
        assert np.array_equal(
            found.arrays["blocks"], index.arrays["blocks"]
        )  # a space in the header's padding
    path.write_bytes(whole[:-1])
    with pytest.raises(StorageCorruption):
        CodeIndex.load(path, book)


def test_another_version_and_shape_are_refused(book, saved, monkeypatch):
    index, path = saved
    monkeypatch.setattr(code_file, "KIND", code_file.KIND._replace(version="3"))
    index.save(path)
    monkeypatch.undo()
    with pytest.raises(UnsupportedVersion, match="version 3, this release reads 2"):
        CodeIndex.load(path, book)
    code_loading.save(path, index._space, index._content._replace(num_rows=1000, ids=None))
    with pytest.raises(StorageCorruption, match=r"blocks is U8 \[2, 8, 64\], .* \[blocks = 16"):
        CodeIndex.load(path, book)
