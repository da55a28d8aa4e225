"""Equally long sections, read as columns, are what they are one by one."""

import pytest

from cgcython import frames
from cgcython.base import QuantizationMethod
from cgcython.metadata import BinaryMetadata, Float8Metadata, PQ8Metadata, SparseMetadata
from cgcython.records import QuantizedEmbedding


def example(method, dimension, data, metadata):
    return QuantizedEmbedding(QuantizationMethod(method), dimension, data, metadata)


QUANTIZED = [
    example("float8_e4m3", 3, b"abc", Float8Metadata(0.5, 2.0)),
    example("binary", 9, b"\xff\x80", BinaryMetadata(0.25)),
    example("pq8", 16, b"12345678", PQ8Metadata(77, 8)),
    example("sparse_native", 9, bytes(4), SparseMetadata(9, 0)),
]
each = pytest.mark.parametrize("quantized", QUANTIZED, ids=lambda one: str(one.metadata))


def section(scale, data=b"abc"):
    return frames.write_section(example("float8_e4m3", len(data), data, Float8Metadata(scale)))


def test_equally_long_sections_are_read_as_columns():
    sections = [section(0.5), section(2.0, b"xyz")]
    matrix = frames.as_matrix(sections)
    assert (matrix.layout.number, matrix.dimension) == (1, 3)
    assert matrix.fields["scale"].tolist() == [0.5, 2.0]
    assert matrix.fields["bias"].tolist() == [0.0, 0.0]
    assert [row.tobytes() for row in matrix.data] == [b"abc", b"xyz"]


@each
def test_a_matrix_of_one_section_has_its_metadata_and_data(quantized):
    section = frames.write_section(quantized)
    matrix = frames.as_matrix([section])
    number = frames.layout_number(section)
    start = frames.data_start(number)
    assert matrix.fields.tobytes() == section[frames.data_start(number, fields=0) : start]
    assert matrix.data.tobytes() == section[start:-4] == quantized.data


@pytest.mark.parametrize(
    "other", [section(1.0, b"abcd"), frames.write_section(QUANTIZED[1]), section(1.0)[:-1]]
)
def test_sections_of_other_heads_or_lengths_are_no_matrix(other):
    assert frames.as_matrix([section(1.0), other]) is None
    assert frames.as_matrix([other[:4] + b"\x09" + other[5:], section(1.0)]) is None


def test_sections_are_whole_that_end_in_their_checksums():
    whole = [section(1.0), section(2.0)]
    assert frames.are_whole(whole)
    assert not frames.are_whole([*whole, whole[0][:-1] + b"?"])


def test_each_field_of_the_metadata_has_its_place():
    assert [frames.data_start(3, fields) for fields in (0, 1, 2, None)] == [10, 14, 15, 15]
