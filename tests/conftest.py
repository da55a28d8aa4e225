"""Fixtures that repeat a test for the reference and for every level this machine runs."""

import os
import random
import runpy
import shutil
import signal
import sys
import tempfile
from pathlib import Path

# Before NumPy is imported: more threads than cores wait for each other in loops.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

from cgcython import kernels
from cgcython.codecs import training_run
from cgcython.codecs.residual_codebook import RQ8Codebook
from cgcython.kernels import dispatch

settings.register_profile("default", deadline=None)  # others may use the machine, too
settings.load_profile("default")
settings.register_profile("long", max_examples=2000, stateful_step_count=60, deadline=None)
ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("CGCYTHON_DATA") or ROOT.parent / "shared" / "data")


MEMORY, MOST_BYTES = Path("/dev/shm"), 4 << 30


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Keep the temporary files in memory: stores wait for the disk again and again."""
    if hasattr(config, "workerinput"):
        return
    in_memory = MEMORY if _holds_files() else None
    if config.option.basetemp is None and in_memory:
        config.option.basetemp = _folder_until_the_end(config, "cgcython-tests-", in_memory)
    if sys.dont_write_bytecode:
        bytecode = _folder_until_the_end(config, "cgcython-bytecode-", in_memory)
        os.environ["PYTHONPYCACHEPREFIX"] = bytecode


def pytest_collection_finish():
    """Let programs that tests start share what they compile, where no file may lie beside sources.

    Otherwise each of hundreds compiles the package anew. The processes of the tests themselves,
    which start together and would compile all of it twice, are beyond this by now.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _folder_until_the_end(config, prefix, parent):
    folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def _holds_files():
    """Return whether there is room in memory, from where programs can be started too."""
    if not os.access(MEMORY, os.W_OK):
        return False
    found = os.statvfs(MEMORY)
    return found.f_bavail * found.f_frsize > MOST_BYTES and not found.f_flag & os.ST_NOEXEC


def pytest_addoption(parser):
    parser.addoption("--whole", action="store_true", help="all of what is tried in part otherwise")
    parser.addoption("--shard", help="I/N: only the I-th of N parts of the tests, dealt at random")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--shard"):
        this, parts = map(int, config.getoption("--shard").split("/"))
        dealt = random.Random(parts).sample(range(len(items)), len(items))
        mine = set(dealt[this::parts])
        items[:] = [item for place, item in enumerate(items) if place in mine]


@pytest.fixture
def part(request):
    """Return `part(cases, n)`: an nth of the cases, always the same one, or all with --whole."""
    if request.config.getoption("--whole"):
        return lambda cases, n: list(cases)
    rng = random.Random(request.node.nodeid)
    return lambda cases, n: rng.sample(list(cases), -(-len(cases) // n))


@pytest.fixture(params=dispatch.available())
def kernel(request):
    """Return `kernel(family)`: that family's module at the level under test."""
    return lambda family: dispatch.load(family, request.param)


@pytest.fixture(params=dispatch.available())
def level(request):
    """Switch the whole package to the level under test, and back afterwards."""
    before = kernels.level
    dispatch.use(request.param)
    yield request.param
    dispatch.use(before)


@pytest.fixture
def hears_ctrl_c():
    """Hear Ctrl-C: a shell that runs the tests in the background has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def few_steps(monkeypatch):
    """Train with few steps, where it does not matter how little a codebook loses."""
    for name in ("STEPS", "STEPS_EACH", "ROUNDS", "LAST_STEPS", "WIDTH_STEPS", "WIDTH_ROUNDS"):
        monkeypatch.setattr(training_run, name, 1)


@pytest.fixture
def no_residual_training(monkeypatch):
    """Make residual codebooks of any rows at once, where it does not matter what they lose."""

    def train(rows, code_size, seed, **_):
        centroids = np.random.default_rng(seed).standard_normal((code_size, 256, 2))
        dim = np.shape(rows)[1]
        return RQ8Codebook(centroids, np.eye(dim, 2), np.zeros(dim))

    monkeypatch.setattr(RQ8Codebook, "train", train)


@pytest.fixture(scope="session")
def memories():
    """Return a small profile, its codebooks and `make(seed)`: a memory of it."""
    return runpy.run_path(str(Path(__file__).with_name("memories.py")))["make_memories"]()


@pytest.fixture(scope="session")
def data():
    """Return the folder of the whole real embeddings, CGCYTHON_DATA, or skip without it."""
    if not DATA.is_dir():
        pytest.skip(f"no real embeddings at {DATA}; set CGCYTHON_DATA")
    return DATA
