"""What fuzzing once found stays mended; some changes of sound bytes, without atheris."""

import logging
import random
from pathlib import Path

import pytest
from fuzz.mutations import change_bytes
from fuzz.readers import READERS, load

FINDS = sorted(path for path in Path(__file__).parent.glob("finds/*/*"))
SLOW = {
    "store": 8,
    "profile": 40,
    "shard": 40,
    "shard_folder": 8,
    "codebook": 60,
    "corpora": 80,
    "objects": 40,
}  # the others take 100
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _logging_again():
    """Bring back the log, which some readers switch off for the fuzzer."""
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("path", FINDS, ids=lambda path: f"{path.parent.name}-{path.name[:14]}")
def test_what_was_found_is_read_or_refused(path):
    load(path.parent.name).fuzz_one(path.read_bytes())


@pytest.mark.parametrize("name", READERS)
def test_sound_bytes_are_read_and_changed_ones_read_or_refused(name):
    reader, rng = load(name), random.Random(name)
    seeds = reader.seeds()
    for seed in seeds:
        reader.fuzz_one(seed)
    mutate = getattr(reader, "mutate", change_bytes)
    for _ in range(SLOW.get(name, 100)):
        reader.fuzz_one(mutate(rng.choice(seeds), rng))
