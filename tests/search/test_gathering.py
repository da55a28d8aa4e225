"""Scans that become one as they come have the rows of joined ones, and are in memory once."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from cgcython.codecs.binary import BinaryCodec
from cgcython.codecs.float8 import Float8Codec
from cgcython.codecs.sparse import SparseCodec
from cgcython.codecs.token_pruning import TokenPruningCodec
from cgcython.records import SparseVector
from cgcython.search import gathering, loading
from cgcython.search.gathering import Gathering, Grown
from cgcython.search.scans import join, make_scan
from cgcython.search.store import FingerprintStore

RNG = np.random.default_rng(3)
ROWS = RNG.standard_normal((90, 24)).astype(np.float32)


def sparse(row):
    return SparseVector(RNG.choice(300, row % 20, replace=False), RNG.uniform(1, 3, row % 20), 300)


def tokens(layout):
    codec = TokenPruningCodec(24, layout=layout)
    return [codec.encode(ROWS[row : row + row % 5]) for row in range(80)], ROWS[:4]


RECORDS = {
    "float8": ([Float8Codec(24).encode(row) for row in ROWS], ROWS[0]),
    "binary": ([BinaryCodec(24).encode(row) for row in ROWS], ROWS[0]),
    "sparse": ([SparseCodec(300, "compact_f16").encode(sparse(r)) for r in range(80)], sparse(19)),
    "floats": ([SparseCodec(300).encode(sparse(r)) for r in range(80)], sparse(19)),
    **{
        one: tokens(one)
        for one in ("compact_e4m3", "compact_int4", "compact_int4_f16", "canonical")
    },
}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_gathered_scans_are_as_joined_ones(name, parts, monkeypatch):
    monkeypatch.setattr(gathering, "LEAST", 64)  # so that memory has to grow
    records, query = RECORDS[name]
    edges = np.linspace(0, len(records), parts + 1).astype(int)
    scans = [make_scan(records[a:b], None) for a, b in pairwise(edges)]
    gathered = Gathering(scans[0])
    for one in scans[1:]:
        gathered.add(one)
    found, expected = gathered.scan(), join(scans)
    assert len(found) == len(records)
    assert found.key == expected.key
    np.testing.assert_array_equal(found.scores(query), expected.scores(query))
    type(found).from_arrays(found.arrays(), found.shared, None)  # they are sound


@pytest.mark.parametrize("can_move", [True, False])
@pytest.mark.parametrize("shape", [(0,), (5,), (1000, 7)])
def test_grown_arrays_are_all_that_was_added(monkeypatch, shape, can_move):
    monkeypatch.setattr(gathering, "LEAST", 64)
    monkeypatch.setattr(gathering, "CAN_MOVE", can_move and gathering.CAN_MOVE)
    parts = [np.full(shape, number, np.float32) for number in range(9)]
    grown = Grown(parts[0])
    for one in parts[1:]:
        grown.add(one)
    np.testing.assert_array_equal(grown.array(), np.concatenate(parts))


def test_columns_are_read_in_pieces(memories, tmp_path, monkeypatch):
    ids, made = [f"{n:04}" for n in range(40)], [memories.make(n) for n in range(40)]
    with FingerprintStore.open(tmp_path, memories.codebooks, memories.profile) as store:
        store.store_many(zip(ids, made))
        expected = {one: store.search(memories.make(3, [one]), 40) for one in memories.profile}
    monkeypatch.setattr(loading, "CHUNK_BYTES", 1)
    monkeypatch.setattr(loading, "STRETCH", 7)
    with FingerprintStore.open(tmp_path) as store:
        for one, hits in expected.items():
            assert store.search(memories.make(3, [one]), 40) == hits


PEAK = """
import sys, numpy as np
from cgcython.search.gathering import Gathering
from cgcython.search.float8_scans import Float8Scan
def highest():
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(one.split()[1]) for one in lines if one.startswith("VmHWM"))
def part():
    return Float8Scan(np.ones((8192, 1024), np.uint8), np.ones(8192, np.float32))
gathered, before = Gathering(part()), highest()
for _ in range(23):
    gathered.add(part())
scan = gathered.scan()
size = sum(one.nbytes for one in scan.arrays().values())
print((highest() - before) / size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_column_is_in_memory_once():
    found = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 1.15
