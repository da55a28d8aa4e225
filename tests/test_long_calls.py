"""Long calls answer Ctrl-C soon: the longest time between two of Python's looks at signals.

Time is the processor's, so that other work on the machine is not this package's fault.
"""

import signal
import time
from itertools import pairwise

import numpy as np
import pytest

from cgcython.codecs.codebook import PQ8Codebook
from cgcython.codecs.measures import cosine_losses, neighbours_kept
from cgcython.codecs.rotation import best_rotation, principal_axes, turned
from cgcython.corpus.assembling import ColumnAssembler
from cgcython.corpus.memory_ids import MemoryIds
from cgcython.token_array import TokenArray

SOON, TICK = 0.2, 0.005  # seconds
RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((200_000, 64), dtype=np.float32)
BOOK = PQ8Codebook(RNG.standard_normal((16, 256, 4)).astype(np.float32))
TOKENS = np.array_split(ROWS, 1000)


def assembled():
    assembler = ColumnAssembler()
    assembler.add(ROWS, range(len(ROWS)))
    return assembler.arrays("E1", len(ROWS))


def numbered():
    return MemoryIds(100_000)[0:100_000]


WIDE = RNG.standard_normal((100_000, 256), dtype=np.float32)  # 6.5 billion multiplications
CALLS = {
    "encode": lambda: BOOK.encode(ROWS),
    "decode": lambda: BOOK.decode(np.zeros((200_000, 16), np.uint8)),
    "losses": lambda: cosine_losses(ROWS, ROWS),
    "train": lambda: PQ8Codebook.train(ROWS[:20_000], 16, rotation=None),
    "axes": lambda: principal_axes(WIDE),
    "rotation": lambda: best_rotation(WIDE, WIDE[::-1]),
    "turn": lambda: turned(WIDE, WIDE[:256], WIDE[0]),
    "neighbours": lambda: neighbours_kept(WIDE[:2000], WIDE[2000:4000]),
    "tokens": lambda: TokenArray.from_list(TOKENS),
    "quantize": lambda: TokenArray.from_list(TOKENS).quantize("int4").dequantize(),
    "assemble": assembled,
    "ids": numbered,
}


@pytest.fixture
def gaps():
    """Return the times between two looks at signals while a test runs."""
    found, last = [0.0], time.process_time()

    def tick(*_):
        nonlocal last
        now = time.process_time()
        found.append(now - last)
        last = now

    before = signal.signal(signal.SIGPROF, tick)
    signal.setitimer(signal.ITIMER_PROF, TICK, TICK)
    yield found
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("call", CALLS)
def test_a_long_call_looks_at_signals_often(gaps, call):
    CALLS[call]()
    assert max(gaps) < SOON


def test_a_call_in_one_piece_is_noticed(gaps):
    sum(range(40_000_000))
    assert max(gaps) > SOON


def test_losses_are_the_same_in_pieces():
    some = cosine_losses(ROWS[:5000], ROWS[1:5001])
    each = [cosine_losses(a[None], b[None])[0] for a, b in pairwise(ROWS[:51])]
    assert some[:50].tolist() == each
