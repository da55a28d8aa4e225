"""A process that opens a store and does what it is told, so that it can be killed at any moment.

RocksDB's threads do not survive a fork, so that only these processes open stores, never the one
that tells them. They come from a server of forks that has imported everything and opened nothing.
"""

import multiprocessing
import os
import signal
import time
from contextlib import suppress

from memories import make_memories

from cgcython import Fingerprint, FingerprintStore, QuantizationError, StoreUnavailable
from cgcython.store.ids import as_key

PATIENCE = 60  # seconds for an answer
FORKED = 10  # seconds for a forked child to leave
_MADE = make_memories()


class Actor:
    """The process, seen from the one that tells it what to do."""

    def __init__(self, path, **how):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["rocksdict", "filelock", "cgcython.search.store"])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, str(path), how), daemon=True)
        self._process.start()
        theirs.close()
        self.refused = self._answer()

    def tell(self, name, *arguments):
        """Have a function of this module called with the store, and return what it returns."""
        self.begin(name, *arguments)
        return self._answer()

    def begin(self, name, *arguments):
        """Have a function called, and do not wait for it."""
        self._pipe.send((name, arguments))

    def _answer(self):
        if not self._pipe.poll(PATIENCE):
            self.kill()
            raise AssertionError(f"no answer within {PATIENCE} s")
        found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def kill(self):
        """End it as a loss of power to its process does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def close(self):
        """Have it close the store, and wait until it is gone."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self._pipe.send(None)
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0, f"it ended with {self._process.exitcode}"
        self._pipe.close()


def _serve(pipe, path, how):
    try:
        store = FingerprintStore.open(path, _MADE.codebooks, _MADE.profile, **how)
    except QuantizationError as error:
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(None)
    with store:
        while (told := pipe.recv()) is not None:
            name, arguments = told
            try:
                pipe.send(DOING[name](store, *arguments))
            except Exception as error:
                pipe.send(error)


def memory(parts):
    """Return the fingerprint `{embedder: seed}`: each embedding as in the memory of its seed."""
    return {embedder: _MADE.make(seed, (embedder,))[embedder] for embedder, seed in parts.items()}


def encoded(parts):
    """Return the encoded bytes of each embedder of such a fingerprint."""
    encoded = Fingerprint(memory(parts)).encode(_MADE.router)
    return {one.short: encoded[one].data for one in encoded}


def store(store, record_id, parts, metadata):
    store.store(record_id, memory(parts), metadata=metadata)


def store_many(store, items):
    return store.store_many((one, memory(parts)) for one, parts in items)


def update(store, record_id, parts):
    changed = memory({key: seed for key, seed in parts.items() if seed is not None})
    return store.update(record_id, {**dict.fromkeys(parts), **changed})


def content(store, is_ordered=True):
    """Return everything that can be read: records, their metadata, and the trash."""
    ids = list(store)
    assert not is_ordered or [as_key(one) for one in ids] == sorted(map(as_key, ids))
    for prefix in ("a", "0", ""):
        found = list(store.ids(prefix))
        begin = [one for one in ids if _begins(one, prefix)]
        assert found == begin or (not is_ordered and set(found) == set(begin))
    assert len(ids) == len(store) == len(set(ids))
    records = {}
    for one in ids:
        assert one in store
        encoded = store.quantized(one)
        records[one] = {key.short: encoded[key].data for key in encoded}, store.info(one).metadata
    return records, set(store.trash())


def _begins(one, prefix):
    return not prefix or (not isinstance(one, int) and str(one).startswith(prefix))


def nearest(store, parts, k):
    """Return the ids that each embedder of a fingerprint finds, each embedder alone."""
    query = memory(parts)
    return {
        embedder: [(hit.id, hit.similarity) for hit in store.search({embedder: one}, k=k)]
        for embedder, one in query.items()
    }


def position(store):
    return store.journal.position()


def changes_since(store, position, embedder):
    return store.journal.changes_since(position, embedder)


def verified(store):
    return store.verify().records


def caught_up(store):
    store.catch_up()
    return content(store)


def opened_again(store, spelling):
    """Return what the same process is told when it opens the store a second time."""
    try:
        FingerprintStore.open(spelling).close()
    except StoreUnavailable as error:
        return str(error)
    return None


def forked(store, closes):
    """Return what a forked child of the process is told when it writes, and whether it left."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, _told_in_child(store).encode())
            if closes:
                store.close()
        finally:
            os._exit(0)
    os.close(writer)
    left = _leaves(child)
    with open(reader, "rb") as told:
        return told.read().decode(), left


def _told_in_child(store):
    try:
        store.store(b"\xff" * 16, memory({"E2": 1}))
    except StoreUnavailable as error:
        return str(error)
    return ""


def _leaves(child):
    deadline = time.monotonic() + FORKED
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return True
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


DOING = {
    one.__name__: one
    for one in (
        store,
        store_many,
        update,
        content,
        nearest,
        position,
        changes_since,
        verified,
        caught_up,
        opened_again,
        forked,
    )
}
DOING |= {
    name: lambda store, *arguments, name=name: getattr(store, name)(*arguments)
    for name in ("delete_many", "restore", "purge", "backup", "compact", "save_columns")
}
