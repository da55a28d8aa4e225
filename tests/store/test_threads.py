"""Threads share a store: whatever they do while it is closed, only StoreUnavailable comes."""

import subprocess
import sys
import threading
import time
from uuid import UUID

import pytest

from cgcython.errors import StoreUnavailable
from cgcython.search import FingerprintStore
from cgcython.store.keepers.rocksdb import database

COUNT = 60
DAEMONS = """
import sys, threading, time, uuid
import numpy as np
from cgcython import FingerprintStore, Profile
profile = Profile.from_toml('E9 = { dimension = 256, method = "binary" }')
store, one = FingerprintStore.open(sys.argv[1], profile=profile), {"E9": np.ones(256)}
store.store_many((uuid.UUID(int=i + 1), one) for i in range(200))
def for_ever(call):
    while True: call()
for call in (
    lambda: store.store(uuid.uuid4(), one),
    lambda: list(store.scan("E9")),
    lambda: store.search(one, k=3),
    lambda: store.statistics(),
):
    for _ in range(2): threading.Thread(target=for_ever, args=(call,), daemon=True).start()
threading.excepthook = lambda _: None
time.sleep(0.2)
"""


def snapshot(store):
    with store.snapshot() as view:
        return list(view.scan("E9"))


CALLS = {
    "store": lambda store, make, n: store.store(UUID(int=n % COUNT + 1), make(n % 9)),
    "update": lambda store, make, n: store.update(UUID(int=n % COUNT + 1), make(n % 9, ["E9"])),
    "delete": lambda store, make, n: store.delete(UUID(int=n % COUNT + 1)),
    "search": lambda store, make, n: store.search(make(n % 9), k=3),
    "retrieve": lambda store, make, n: store.retrieve(UUID(int=n % COUNT + 1)),
    "ids": lambda store, make, n: list(store),
    "snapshot": lambda store, make, n: snapshot(store),
    "statistics": lambda store, make, n: store.statistics(),
}


def test_closing_beside_8_threads_raises_only_that_it_is_closed(memories, tmp_path, request):
    rounds, before = (40 if request.config.getoption("--whole") else 4), sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for number in range(rounds):
            close_beside_threads(tmp_path / f"s{number}", memories)
    finally:
        sys.setswitchinterval(before)


def close_beside_threads(path, memories):
    store, failures = FingerprintStore.open(path, memories.codebooks, memories.profile), []
    store.store_many((UUID(int=i + 1), memories.make(i % 9)) for i in range(COUNT))

    def work(name):
        number = 0
        try:
            while True:
                CALLS[name](store, memories.make, number)
                number += 1
        except StoreUnavailable:
            return
        except BaseException as error:
            failures.append((name, repr(error)))

    threads = [threading.Thread(target=work, args=(name,)) for name in CALLS]
    for one in threads:
        one.start()
    time.sleep(0.1)
    store.close()
    for one in threads:
        one.join(20)
    assert not any(one.is_alive() for one in threads)
    assert failures == []
    with FingerprintStore.open(path) as again:
        assert again.verify().ok


@pytest.mark.parametrize("attempt", range(3))
def test_daemon_threads_do_not_abort_the_exit(tmp_path, attempt):
    command = [sys.executable, "-W", "ignore", "-c", DAEMONS, str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    with FingerprintStore.open(tmp_path / "s") as store:
        assert store.verify().records >= 200


def test_closing_waits_for_a_thread_that_is_inside_rocksdb():
    asked = iter([Exception("Already borrowed"), Exception("Already borrowed"), None])

    def close():
        if error := next(asked):
            raise error

    database._give_back(close)
    assert list(asked) == []


def test_closing_tells_any_other_failure():
    def close():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        database._give_back(close)
