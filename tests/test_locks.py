"""A lock that a thread holds while the process forks is free in the child."""

import os
import pickle
import signal
import threading

import pytest

from cgcython.locks import ForkSafeLock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_takes_a_lock_that_another_thread_of_its_parent_holds():
    lock, held, done = ForkSafeLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        with lock:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    done.set()
    thread.join()


def test_what_has_a_lock_can_be_pickled():
    with pickle.loads(pickle.dumps(ForkSafeLock())) as lock:
        assert isinstance(lock, ForkSafeLock)
