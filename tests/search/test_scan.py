"""A scan class joins by being defined: its records are loaded, saved, put in a graph and found."""

from uuid import UUID

import numpy as np
import pytest

from cgcython.base import ModelId, QuantizationMethod
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.pq8 import PQ8Codec
from cgcython.errors import InvalidInput
from cgcython.metadata import Float8Metadata
from cgcython.records import QuantizedEmbedding
from cgcython.search import scan_registry
from cgcython.search.column import Column
from cgcython.search.column_files import column_path, load_parts, save_parts
from cgcython.search.float8_scans import BiasedFloat8Scan, Float8Scan
from cgcython.search.graphs import Graph
from cgcython.search.keys import key_array
from cgcython.search.loading import Part
from cgcython.search.scans import make_scan, scan_class, scan_key
from cgcython.search.vector_scan import VectorScan

DIM = 24
ROWS = np.random.default_rng(5).standard_normal((40, DIM)).astype(np.float32)
KEYS = key_array([UUID(int=i << 64).bytes for i in range(1, 41)])
# A foreign method could not be told from float8 records with this bias.
FOREIGN_BIAS = 7.0


@pytest.fixture(autouse=True)
def _forget_what_is_defined_here(monkeypatch):
    monkeypatch.setattr(scan_registry, "_REGISTERED", dict(scan_registry._REGISTERED))


def define(**attributes):
    """Return a new scan class of the records with FOREIGN_BIAS."""

    class ForeignScan(VectorScan):
        method = QuantizationMethod.FLOAT8_E4M3
        name = attributes.get("name", "foreign")

        @classmethod
        def holds(cls, quantized):
            return quantized.metadata.bias == FOREIGN_BIAS

        @classmethod
        def decoded(cls, quantized, find_codebook):
            codec = Float8Codec(quantized[0].original_dim)
            return np.stack([codec.decode(one) for one in quantized]) - np.float32(FOREIGN_BIAS)

    return ForeignScan


def record(row, bias=FOREIGN_BIAS):
    made = Float8Codec(DIM).encode(row)
    metadata = Float8Metadata(made.metadata.scale, bias)
    return QuantizedEmbedding(made.method, DIM, made.data, metadata)


def foreign_scan():
    return make_scan([record(row) for row in ROWS], None)


def test_each_record_has_the_class_that_holds_it():
    kind = define()
    assert scan_class(record(ROWS[0])) is kind
    assert scan_class(record(ROWS[0], 0.0)) is Float8Scan
    assert scan_class(record(ROWS[0], 1.0)) is BiasedFloat8Scan
    assert scan_key(record(ROWS[0])) == (kind, (DIM,)) == foreign_scan().key


def test_vectors_are_scored_by_cosine_and_dot_product():
    define()
    found, decoded = foreign_scan(), Float8Codec(DIM).decode_batch
    values = decoded(Float8Codec(DIM).encode_batch(ROWS)).astype(np.float64)
    dots = values @ ROWS[3].astype(np.float64)
    norms = np.linalg.norm(values, axis=1) * np.linalg.norm(ROWS[3].astype(np.float64))
    np.testing.assert_allclose(found.scores(ROWS[3]), dots / norms, atol=1e-5)
    np.testing.assert_allclose(found.scores(ROWS[3], "dot"), dots, atol=1e-4)


def test_records_are_decoded_by_their_own_codebooks(memories):
    class DecodedPQ8(VectorScan):
        method = QuantizationMethod.PQ8

    books = [*memories.codebooks.values(), *memories.other_codebooks.values()]
    codecs = [PQ8Codec(book) for book in books]
    records = [codec.encode(ROWS[i, :16]) for i in range(3) for codec in codecs]
    found = DecodedPQ8.of(records, {book.codebook_id: book for book in books}.__getitem__)
    expected = [codec.decode(one) for codec, one in zip(codecs * 3, records)]
    np.testing.assert_array_equal(found.values, expected)


def test_a_column_of_it_is_saved_and_mapped(tmp_path):
    define()
    path = column_path(tmp_path, ModelId.GRAPH)
    assert save_parts(path, ModelId.GRAPH, [Part(KEYS, foreign_scan())], position=3)
    (part,), position = load_parts(path, ModelId.GRAPH, None)
    assert (position, part.scan.key) == (3, foreign_scan().key)
    np.testing.assert_array_equal(part.keys, KEYS)
    np.testing.assert_array_equal(part.scan.scores(ROWS[3]), foreign_scan().scores(ROWS[3]))


def test_a_file_is_not_believed_where_its_scan_is_not_defined(tmp_path, monkeypatch):
    known = dict(scan_registry._REGISTERED)
    define()
    path = column_path(tmp_path, ModelId.GRAPH)
    save_parts(path, ModelId.GRAPH, [Part(KEYS, foreign_scan())], position=3)
    monkeypatch.setattr(scan_registry, "_REGISTERED", known)
    assert load_parts(path, ModelId.GRAPH, None) is None


def test_without_a_name_it_has_no_file(tmp_path):
    define(name=None)
    assert not save_parts(tmp_path / "x", ModelId.GRAPH, [Part(KEYS, foreign_scan())], position=3)


def test_its_rows_can_be_put_in_a_graph():
    define()
    column = Column.of([Part(KEYS, foreign_scan())])
    near = Graph.of(column).nearest(column, ROWS[3], 10)
    assert KEYS[3] in column.row_keys[near]


def test_a_name_in_files_belongs_to_one_class():
    with pytest.raises(TypeError, match=r"its name, 'float8', is that of .*Float8Scan"):
        define(name="float8")


def test_defining_a_class_again_replaces_it():
    before, after = define(), define()
    assert scan_class(record(ROWS[0])) is after is not before


def test_a_record_that_no_class_holds_is_refused_with_a_remedy(monkeypatch):
    tokens = [one for one in scan_registry.registered() if one.method.value == "token_pruning"]
    monkeypatch.setattr(scan_registry, "_REGISTERED", {one.name: one for one in tokens})
    with pytest.raises(InvalidInput, match="import its package") as caught:
        scan_class(record(ROWS[0]))
    assert caught.value.actual == "float8_e4m3"
