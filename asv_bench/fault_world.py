"""What the faults happen to: small records whose every version is known, and a look at a store."""

import logging
import os
import pickle
import select
import signal
import sys
import time
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


def in_child(function, *arguments):
    """Return what a function returns in a forked child, within PATIENCE.

    RocksDB's threads do not survive a fork: the parent never opens a store, its children do. Only
    another process can end one that loops in a library without letting Python run.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _serve(writer, function, arguments)
    os.close(writer)
    try:
        answer = _answer(reader)
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise Died(f"no answer within {PATIENCE} s") from None
    finally:
        os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise Died(signal.Signals(os.WTERMSIG(status)).name)
    succeeded, result = pickle.loads(answer)
    if not succeeded:
        raise RuntimeError(result)
    return result


def _answer(reader):
    """Return all that comes out of a pipe; raises TimeoutError."""
    deadline, found = time.monotonic() + PATIENCE, b""
    while select.select([reader], [], [], max(0, deadline - time.monotonic()))[0]:
        some = os.read(reader, 1 << 20)
        if not some:
            return found
        found += some
    raise TimeoutError


def _serve(writer, function, arguments):
    status = 1
    try:
        logging.disable(logging.CRITICAL)
        try:
            answer = True, function(*arguments)
        except BaseException:
            answer = False, traceback.format_exc()
        with open(writer, "wb") as file:
            pickle.dump(answer, file)
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)
