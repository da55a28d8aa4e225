"""A scan of scalar codes: scores beside what rows decode to, in a store, in files, with guides."""

import numpy as np
import pytest
from structured import clustered

from cgcython import FingerprintStore
from cgcython.codecs.row_settings import BITS
from cgcython.codecs.scalar import ScalarCodec
from cgcython.errors import DimensionMismatch, InvalidInput, InvalidQuantizedData
from cgcython.metadata import ScalarMetadata
from cgcython.records import QuantizedEmbedding
from cgcython.search.guides.first_pass import FirstPass
from cgcython.search.scalar_scan import ScalarScan
from cgcython.search.scans import make_scan, scan_key
from cgcython.tensors import Malformed

RNG = np.random.default_rng(7)
DIM = 37
ROWS = RNG.standard_normal((60, DIM)).astype(np.float32) * np.geomspace(1e-3, 1e3, 60)[:, None]
ROWS = np.vstack([ROWS, np.zeros((1, DIM)), ROWS[:1] * 1e-30]).astype(np.float32)
QUERY = RNG.standard_normal(DIM).astype(np.float32)
IN_PARTS_OF_THE_PEAK = 4e-5  # queries are whole numbers up to 32767


def scan_of(records):
    return make_scan(records, {}.__getitem__)


@pytest.fixture(params=BITS)
def some(request):
    """Return a codec, the scan of rows, and what these decode to."""
    codec = ScalarCodec(DIM, request.param)
    records = [codec.encode(row) for row in ROWS]
    return codec, scan_of(records), np.stack([codec.decode(one) for one in records]).astype(float)


def test_scores_are_cosines_of_what_was_decoded(some):
    _, scan, decoded = some
    norms = np.linalg.norm(decoded, axis=1) * np.linalg.norm(QUERY)
    expected = np.divide(decoded @ QUERY, norms, out=np.zeros(len(norms)), where=norms > 0)
    np.testing.assert_allclose(scan.scores(QUERY), expected, atol=IN_PARTS_OF_THE_PEAK)


def test_dot_products_are_those_of_what_was_decoded(some):
    _, scan, decoded = some
    lengths = np.linalg.norm(decoded, axis=1) * np.linalg.norm(QUERY)
    off = np.abs(scan.scores(QUERY, "dot") - decoded @ QUERY)
    assert (off <= IN_PARTS_OF_THE_PEAK * lengths).all()


def test_a_query_of_zeros_is_like_nothing(some):
    _, scan, _ = some
    assert not scan.scores(np.zeros(DIM, np.float32)).any()
    assert scan.equal_rows(np.zeros(DIM, np.float32)).tolist() == [60]


def test_a_query_finds_itself(some):
    codec, scan, _ = some
    row = ROWS[7] * np.float32(2)
    found = scan.similarities(row, codec.decode(codec.encode(row)))
    assert found.argmax() == 7
    assert found[7] == pytest.approx(1, abs=1e-4)


def test_a_part_of_the_rows_and_threads_score_the_same(some):
    _, scan, _ = some
    rows = np.array([7, 3, 3, 40])
    expected = scan.scores(QUERY)
    np.testing.assert_array_equal(scan.take(rows).scores(QUERY), expected[rows])
    np.testing.assert_array_equal(scan.scores(QUERY, num_threads=3), expected)
    best = scan.best(QUERY, 3)
    np.testing.assert_array_equal(np.sort(best.scores), np.sort(expected)[-3:])


def test_bits_and_dimensions_have_scans_of_their_own():
    records = [ScalarCodec(DIM, bits).encode(ROWS[0]) for bits in BITS]
    records.append(ScalarCodec(12).encode(ROWS[0, :12]))
    assert len({scan_key(one) for one in records}) == 5


def test_what_does_not_fit_is_refused(some):
    _, scan, _ = some
    with pytest.raises(DimensionMismatch):
        scan.scores(QUERY[:-1])
    with pytest.raises(InvalidInput, match="cosine or dot"):
        scan.scores(QUERY, "l2")
    with pytest.raises(Malformed, match="not those of 38 values"):
        ScalarScan.from_arrays(scan.arrays(), (38, 8), {}.__getitem__)
    with pytest.raises(Malformed, match="values of 7 bits"):
        ScalarScan.from_arrays(scan.arrays(), (DIM, 7), {}.__getitem__)
    with pytest.raises(Malformed, match=r"values of 8\.0 bits"):
        ScalarScan.from_arrays(scan.arrays(), (DIM, 8.0), {}.__getitem__)


@pytest.mark.parametrize(
    ("metadata", "data"),
    [
        (ScalarMetadata(4, 1.0), bytes(18) + b"\x10"),
        (ScalarMetadata(8, float("inf")), bytes(DIM)),
        (ScalarMetadata(8, -2.0), bytes(DIM)),
    ],
)
def test_codes_no_encoder_wrote_are_refused(metadata, data):
    with pytest.raises(InvalidQuantizedData):
        scan_of([QuantizedEmbedding(ScalarCodec.method, DIM, data, metadata)])


@pytest.mark.parametrize("bits", BITS)
def test_a_store_keeps_finds_and_maps_them(tmp_path, bits):
    profile = {"body": {"dimension": DIM, "method": "scalar", "bits": bits}}
    with FingerprintStore.open(tmp_path / "store", profile=profile) as store:
        store.add(list(range(60)), {"body": ROWS[:60]})
        expected = [hit.id for hit in store.search({"body": QUERY}, k=5)]
        assert store.search({"body": ROWS[9]}, k=1)[0].id == 9
        assert store.verify().records == 60
        store.save_columns()
    with FingerprintStore.open(tmp_path / "store") as store:
        assert [hit.id for hit in store.search({"body": QUERY}, k=5)] == expected
        decoded = store.retrieve(3)["body"]
        codec = ScalarCodec(DIM, bits)
        np.testing.assert_array_equal(decoded, codec.decode(codec.encode(ROWS[3])))
        store.add([99], {"body": QUERY[None]})
        assert store.search({"body": QUERY}, k=1)[0].id == 99


@pytest.mark.parametrize(("bits", "suits"), [(8, True), (4, True), (2, False)])
def test_a_first_pass_finds_near_rows_by_their_signs(bits, suits):
    rows = clustered(64, 3000)
    batch = ScalarCodec(64, bits).encode_batch(rows)
    scan = ScalarScan(*batch.columns.values(), 64, bits)
    assert FirstPass.suits(scan) is suits
    if suits:
        exact = set(scan.best(rows[5], 10).rows.tolist())
        near = FirstPass.of(scan).near(scan, rows[5], 10).rows
        assert len(exact & set(near.tolist())) >= 9
