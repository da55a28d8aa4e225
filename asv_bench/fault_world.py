"""What the faults happen to: small records whose every version is known, and a look at a store."""

import logging
import multiprocessing
import signal
import traceback
from typing import NamedTuple
from uuid import UUID

import numpy as np

from cgcython.base import ModelId, Profile
from cgcython.codecs.codebook import PQ8Codebook
from cgcython.errors import QuantizationError, StorageCorruption
from cgcython.fingerprint import Fingerprint
from cgcython.records import SparseVector
from cgcython.router import QuantizationRouter
from cgcython.store import RecordStore

PROFILE = Profile.from_toml(
    """
    E1 = { dimension = 16, method = "pq8" }
    E2 = { dimension = 12, method = "float8_e4m3" }
    E6 = { dimension = 400, method = "sparse_native" }
    E9 = { dimension = 64, method = "binary" }
    E12 = { dimension = 8, method = "token_pruning" }
    """
)
RNG = np.random.default_rng(6)
CODEBOOKS = {ModelId.SEMANTIC: PQ8Codebook(RNG.standard_normal((8, 256, 2)).astype(np.float32))}
POOL_SIZE = 61
SCANNED = "E2"


def _memory(number):
    embedders = {
        "E1": RNG.standard_normal(16),
        "E2": RNG.standard_normal(12),
        "E6": SparseVector(np.sort(RNG.choice(400, 20, replace=False)), RNG.uniform(1, 2, 20), 400),
        "E9": RNG.standard_normal(64),
        "E12": RNG.standard_normal((4 + number, 8)),
    }
    if number % 7 == 0:  # replacing one by such a record deletes a section
        del embedders["E9"]
    return Fingerprint(embedders)


_ROUTER = QuantizationRouter(CODEBOOKS, PROFILE)
POOL = [_memory(number).encode(_ROUTER) for number in range(POOL_SIZE)]
_CONTENTS = {tuple(one.sections.values()): index for index, one in enumerate(POOL)}
_SCANNED = [one[SCANNED] for one in POOL]
NAMED, WRONG = "named", "wrong"
PATIENCE = 60  # seconds for a child; opening and reading a store of these takes a tenth of one


def content(number, version):
    """Return which of the POOL a version of a record is."""
    return (number * 31 + version * 17) % POOL_SIZE


def record_id(number):
    """Return the id of a record."""
    return UUID(int=number + 1)


class Look(NamedTuple):
    """What a reader sees: a refusal to open, or for each record its content, None, NAMED or WRONG.

    `unverified` lists the NAMED records that `check` does not name.
    """

    refused: str | None
    state: dict
    unverified: list


def look(path, numbers, read_only=False):
    """Open a store and read records, one embedder's column, and what `check` says of them."""
    try:
        store = RecordStore.open(path, create=False, read_only=read_only)
    except QuantizationError as error:
        return Look(str(error), {}, [])
    with store:
        state = {number: _found(store, record_id(number)) for number in numbers}
        for number in _wrong_in_column(store, state):
            state[number] = WRONG
        problems = store.check().problems
        # Whatever does not read is named by `check` as well.
        named = [number for number in numbers if state[number] == NAMED]
        return Look(None, state, [one for one in named if record_id(one) not in problems])


def _found(store, one):
    try:
        found = store.quantized(one)
    except StorageCorruption as error:
        return NAMED if error.ids == (one,) and str(one) in str(error) else WRONG
    return None if found is None else _CONTENTS.get(tuple(found.sections.values()), WRONG)


def _wrong_in_column(store, state):
    """Yield the records whose column disagrees with what is known to be theirs."""
    try:
        for key, found in store.scan(SCANNED):
            number = UUID(bytes=bytes(key)).int - 1
            content = state.get(number)
            if isinstance(content, int) and found != _SCANNED[content]:
                yield number
            if content is None and number in state:
                yield number
    except StorageCorruption:
        return  # it named what it could not read, after all that it could


class Died(Exception):
    """A child process ended by a signal, or had to be ended when its time was up."""


class Child:
    """A process that calls a function with a pipe to write to, and arguments.

    RocksDB's threads do not survive a fork, so it comes from a server that has imported everything
    and opened nothing, whatever the parent did.
    """

    def __init__(self, function, *arguments):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["rocksdict", "cgcython.search.store"])
        self.pipe, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(theirs, function, arguments))
        self._process.start()
        theirs.close()

    def kill(self):
        """End it as a loss of power to the process does; return whether that ended it."""
        self._process.kill()
        return self.left() < 0

    def left(self):
        """Wait until it is gone and return its exit code, a signal's number below 0."""
        self._process.join()
        self.pipe.close()
        return self._process.exitcode


def _run(pipe, function, arguments):
    logging.disable(logging.CRITICAL)  # damage, and `close` on a full disk, are warned of
    function(pipe, *arguments)


def in_child(function, *arguments):
    """Return what a function returns in a process of its own, within PATIENCE.

    Only another process can end one that loops in a library without letting Python run.
    """
    child = Child(_answer, function, arguments)
    if not child.pipe.poll(PATIENCE):
        child.kill()
        raise Died(f"no answer within {PATIENCE} s")
    try:
        succeeded, result = child.pipe.recv()
    except EOFError:
        raise Died(signal.Signals(-child.left()).name) from None
    child.left()
    if not succeeded:
        raise RuntimeError(result)
    return result


def _answer(pipe, function, arguments):
    try:
        answer = True, function(*arguments)
    except BaseException:
        answer = False, traceback.format_exc()
    pipe.send(answer)
