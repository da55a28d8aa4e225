"""A fused search of few records takes as long as the Python calls that it makes."""

import sys
from pathlib import Path
from uuid import UUID

import pytest

from cgcython import search
from cgcython.search import FingerprintStore

FOLDER = str(Path(search.__file__).parent)
RECORDS, MOST_CALLS = 51, 220  # of this package's search; all modules make about 480
MOST_WITH_TOKENS = 224  # which are coded as each scan holds them, to be compared
MOST_OF_ONE = 85  # where one embedder ranks: half of its time is this Python


@pytest.fixture
def store(memories, tmp_path):
    with FingerprintStore.open(tmp_path / "s", memories.codebooks, memories.profile) as store:
        store.store_many((UUID(int=i + 1), memories.make(i)) for i in range(RECORDS))
        yield store


@pytest.mark.parametrize(
    ("embedders", "most_calls"),
    [
        (["E2"], MOST_OF_ONE),
        (["E1", "E2", "E9"], MOST_CALLS),
        (["E1", "E6", "E12"], MOST_WITH_TOKENS),
    ],
)
def test_calls_are_counted(store, memories, embedders, most_calls):
    query, calls = memories.make(7, embedders), []

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(FOLDER):
            calls.append(frame.f_code.co_qualname)

    store.search(query)
    before = sys.getprofile()
    sys.setprofile(note)
    try:
        store.search(query)
    finally:
        sys.setprofile(before)
    assert "Searcher.search" in calls
    assert len(calls) <= most_calls, sorted(calls)
