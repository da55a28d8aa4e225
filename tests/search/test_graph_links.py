"""An index is loaded only where every link in it leads to a node."""

import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from cgcython.search.graph_links import require_sound
from cgcython.tensors import Malformed

usearch = pytest.importorskip("usearch.index")
ROWS, WIDTH = 500, 24
NODES = 8 + ROWS * WIDTH + 64  # where nodes are counted


def make():
    """Return an index without rows and one with some, of which a few were removed."""
    empty, full = (
        usearch.Index(ndim=WIDTH, metric="cos", dtype="i8", connectivity=16) for _ in range(2)
    )
    rows = np.random.default_rng(0).integers(-99, 99, (ROWS, WIDTH)).astype(np.int8)
    full.add(np.arange(ROWS, dtype=np.uint64), rows)
    full.remove(np.arange(3, 9, dtype=np.uint64))
    return [np.frombuffer(bytes(one.save()), np.uint8) for one in (empty, full)]


EMPTY, FULL = make()


def require(data):
    require_sound(np.frombuffer(bytes(data), np.uint8), EMPTY, WIDTH, ROWS)


def test_what_usearch_wrote_is_sound():
    require(FULL)
    require_sound(EMPTY, EMPTY, WIDTH, 0)


@pytest.mark.parametrize("end", [0, 7, 8, NODES - 1, NODES + 39, NODES + 41, -1])
def test_an_index_cut_off_is_not(end):
    with pytest.raises(Malformed):
        require(FULL[:end])


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (0, "<I", ROWS + 1),
        (4, "<I", WIDTH + 8),
        (NODES - 64 + 7, "<H", 3),  # version
        (NODES - 64 + 13, "<B", 0x68),  # metric
        (NODES, "<Q", 2**63),
        (NODES + 8, "<Q", 2**40),
        (NODES + 16, "<Q", 31),
        (NODES + 24, "<Q", 9),
        (NODES + 32, "<Q", ROWS),
        (NODES + 40, "<h", -1),
        (NODES + 40, "<h", 3),
        (NODES + 40 + 2 * ROWS, "<Q", ROWS),  # label
        (NODES + 40 + 2 * ROWS + 10, "<I", 33),  # links
        (NODES + 40 + 2 * ROWS + 14, "<I", ROWS),
    ],
)
def test_numbers_that_lead_out_of_it_are_found(at, form, value):
    data = bytearray(FULL.tobytes())
    struct.pack_into(form, data, at, value)
    with pytest.raises(Malformed):
        require(data)


def test_what_is_believed_is_searched_without_a_crash():
    code = """
        import faulthandler, numpy as np
        from test_graph_links import FULL, NODES, WIDTH, Malformed, require, usearch
        faulthandler.enable()
        rng, believed = np.random.default_rng(1), 0
        for _ in range(300):
            data = bytearray(FULL.tobytes())
            for at in rng.integers(NODES - 64, len(data), 3):
                data[at] = rng.integers(256)
            try:
                require(data)
            except Malformed:
                continue
            believed += 1
            index = usearch.Index(ndim=WIDTH, metric="cos", dtype="i8", connectivity=16)
            index.load(bytes(data))
            for query in rng.integers(-99, 99, (20, WIDTH)).astype(np.int8):
                index.search(query, 50)
        assert believed > 20, believed
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, cwd=__file__.rpartition("/")[0], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
