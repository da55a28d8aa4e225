"""Ids are UUIDs, sixteen bytes or a UUID's text; what only looks so is refused."""

from uuid import UUID

import numpy as np
import pytest

from cgcython.errors import InvalidInput
from cgcython.store.ids import as_key, prefix_digits

NAME = UUID(int=255)
BYTES = NAME.bytes
STRIDED = memoryview(bytes(one for byte in BYTES for one in (byte, 7)))[::2]


@pytest.mark.parametrize(
    "name",
    [NAME, BYTES, bytearray(BYTES), memoryview(BYTES), STRIDED, str(NAME)],
)
def test_names_of_one_record_are_one_key(name):
    assert as_key(name) == BYTES


def test_text_may_be_in_capitals():
    assert as_key(str(NAME).upper()) == BYTES


WIDE = [memoryview(np.arange(16, dtype=kind)) for kind in ("u2", "i4", "f8")]


@pytest.mark.parametrize(
    "name",
    [
        *WIDE,
        memoryview(np.zeros((16, 3), np.uint8)),
        memoryview(np.arange(4, dtype="u4")),
        BYTES[:15],
        NAME.hex,
        f"{{{NAME}}}",
        "\ud800",
        "",
        None,
        5,
        np.zeros(16, np.uint8),
    ],
    ids=lambda name: type(name).__name__,
)
def test_what_names_no_record_is_refused(name):
    with pytest.raises(InvalidInput, match="id: expected a UUID"):
        as_key(name)


@pytest.mark.parametrize("prefix", [WIDE[0][:2], "x", b"1" * 17, 3])
def test_a_prefix_is_the_beginning_of_an_id(prefix):
    with pytest.raises(InvalidInput, match="prefix"):
        prefix_digits(prefix)
